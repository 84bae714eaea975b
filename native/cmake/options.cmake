# SPDX-License-Identifier: Apache-2.0
# Compiler options of everything (tfxf_options), and of all but the tests (tfxf_no_exceptions).

if(MSVC AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "The kernels are written in vector types of GCC and Clang; on Windows use clang-cl: cmake -T ClangCL")
endif()

add_library(tfxf_options INTERFACE)
target_include_directories(tfxf_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
add_library(tfxf_no_exceptions INTERFACE)

if(MSVC)
  target_compile_options(tfxf_options INTERFACE /clang:-Wall /clang:-Wextra -Werror)
  target_compile_definitions(tfxf_options INTERFACE NOMINMAX WIN32_LEAN_AND_MEAN _CRT_SECURE_NO_WARNINGS)
  target_compile_options(tfxf_no_exceptions INTERFACE /EHs-c- /GR- /Zc:threadSafeInit-)
else()
  target_compile_options(tfxf_options INTERFACE -Wall -Wextra -Werror)
  # With no exceptions, no run-time types and no guarded statics the addon needs no C++ library.
  target_compile_options(tfxf_no_exceptions INTERFACE -fno-exceptions -fno-rtti -fno-threadsafe-statics)
endif()

if(TFXF_SANITIZE)
  set(sanitize -fsanitize=${TFXF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_compile_options(tfxf_options INTERFACE ${sanitize})
  target_link_options(tfxf_options INTERFACE -fsanitize=${TFXF_SANITIZE})
elseif(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  # Asks for the old names of what newer C libraries have moved. Sanitizers replace some of these functions by name.
  target_compile_options(tfxf_no_exceptions INTERFACE -include ${CMAKE_CURRENT_SOURCE_DIR}/common/old_glibc.h)
endif()
