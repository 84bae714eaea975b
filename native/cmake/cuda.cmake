# SPDX-License-Identifier: Apache-2.0
# The CUDA kernels: tfxf_cuda_host finds the driver and launches, tfxf_cuda_images is the machine code where nvcc is.
#
# TFXF_CUDA: AUTO builds kernels where nvcc is found, ON insists, OFF builds none. The addon needs no CUDA to be built or
# to run; without kernels it says so in info().
set(TFXF_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE TFXF_CUDA PROPERTY STRINGS AUTO ON OFF)

file(GLOB TFXF_CUDA_HOST CONFIGURE_DEPENDS cuda/*.cc)
list(FILTER TFXF_CUDA_HOST EXCLUDE REGEX "images\\.cc$")
add_library(tfxf_cuda_host STATIC ${TFXF_CUDA_HOST})
target_link_libraries(tfxf_cuda_host PUBLIC tfxf_options ${CMAKE_DL_LIBS} PRIVATE tfxf_no_exceptions)
add_library(tfxf_cuda_images OBJECT cuda/images.cc)
target_link_libraries(tfxf_cuda_images PRIVATE tfxf_options tfxf_no_exceptions)

set(TFXF_CUDA_FOUND OFF)
set(why "there is no nvcc for it")
if(TFXF_CUDA STREQUAL "OFF" OR TFXF_SANITIZE OR CMAKE_CROSSCOMPILING OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  set(why "not asked for")
else()
  find_program(TFXF_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(TFXF_NVCC)
    execute_process(COMMAND ${TFXF_NVCC} --version OUTPUT_VARIABLE version)
    string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" release "${version}")
    set(major ${CMAKE_MATCH_1})
    set(version ${CMAKE_MATCH_1}.${CMAKE_MATCH_2})
    if(version VERSION_LESS 12.4)
      set(why "${TFXF_NVCC} is of CUDA ${version}, and 12.4 or newer is needed")
    else()
      set(TFXF_CUDA_FOUND ON)
    endif()
  endif()
endif()
if(TFXF_CUDA STREQUAL "ON" AND NOT TFXF_CUDA_FOUND)
  message(FATAL_ERROR "TFXF_CUDA is ON, and the kernels cannot be built: ${why}")
endif()

if(TFXF_CUDA_FOUND)
  message(STATUS "CUDA kernels: by ${TFXF_NVCC} of CUDA ${version}")
  set(fatbins ${CMAKE_CURRENT_BINARY_DIR}/cuda)
  file(GLOB modules CONFIGURE_DEPENDS cuda/kernels/*.cu)
  file(GLOB headers CONFIGURE_DEPENDS cuda/*.h cuda/kernels/*.h common/*.h)
  foreach(source IN LISTS modules)
    get_filename_component(module ${source} NAME_WE)
    add_custom_command(
      OUTPUT ${fatbins}/${module}.fatbin ${fatbins}/${module}.txt
      COMMAND ${CMAKE_COMMAND} -DNVCC=${TFXF_NVCC} -DSOURCE=${source} -DFOLDER=${fatbins} -DINCLUDE=${CMAKE_CURRENT_SOURCE_DIR}
              -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/cuda_module.cmake
      DEPENDS ${source} ${headers} cmake/cuda_module.cmake
      COMMENT "CUDA kernels of ${module}")
    list(APPEND TFXF_FATBINS ${fatbins}/${module}.fatbin)
    list(APPEND TFXF_CUDA_REPORTS ${fatbins}/${module}.txt)
  endforeach()
  target_compile_definitions(tfxf_cuda_images PRIVATE TFXF_FATBINS="${fatbins}" TFXF_CUDA_MAJOR=${major})
  set_source_files_properties(cuda/images.cc PROPERTIES OBJECT_DEPENDS "${TFXF_FATBINS}")
else()
  message(STATUS "CUDA kernels: none in this build (${why}); CPU kernels serve")
endif()
