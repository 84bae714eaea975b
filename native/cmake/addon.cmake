# SPDX-License-Identifier: Apache-2.0
# The addon: tfjs_xformers.node, which exports what Node looks for and nothing else.

add_library(tfjs_xformers MODULE addon.cc)
set_target_properties(tfjs_xformers PROPERTIES PREFIX "" SUFFIX ".node")
target_include_directories(tfjs_xformers SYSTEM PRIVATE ${NODE_API_HEADERS}/include)
target_compile_definitions(tfjs_xformers PRIVATE NAPI_VERSION=8)
target_link_libraries(tfjs_xformers PRIVATE tfxf_ops tfxf_no_exceptions)

if(APPLE)
  target_link_options(tfjs_xformers PRIVATE
    -undefined dynamic_lookup
    -Wl,-exported_symbol,_napi_register_module_v1
    -Wl,-exported_symbol,_node_api_module_get_api_version_v1
    -Wl,-dead_strip)
elseif(WIN32)
  # Node's symbols are those of the executable, whatever it is called: the import library is made from the list in
  # node-api-headers, and loaded late, so that the hook in addon_windows.cc can name the running program.
  set(import ${CMAKE_CURRENT_BINARY_DIR}/node.lib)
  add_custom_command(
    OUTPUT ${import}
    COMMAND ${CMAKE_AR} /def:${NODE_API_HEADERS}/def/node_api.def /out:${import} /machine:x64 /nologo
    DEPENDS ${NODE_API_HEADERS}/def/node_api.def)
  target_sources(tfjs_xformers PRIVATE addon_windows.cc ${import})
  target_link_libraries(tfjs_xformers PRIVATE ${import} delayimp.lib)
  target_link_options(tfjs_xformers PRIVATE /DELAYLOAD:node.exe)
else()
  target_link_options(tfjs_xformers PRIVATE
    -static-libgcc -static-libstdc++
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map
    -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack)
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT TFXF_SANITIZE)
    target_link_options(tfjs_xformers PRIVATE -Wl,-s)
  endif()
  set_property(TARGET tfjs_xformers PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map)
  if(TFXF_TESTS AND NOT TFXF_SANITIZE)
    add_test(NAME native_addon COMMAND ${CMAKE_COMMAND} -DOBJDUMP=${CMAKE_OBJDUMP} -DADDON=$<TARGET_FILE:tfjs_xformers>
      -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/check_addon.cmake)
  endif()
endif()
