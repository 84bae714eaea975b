# SPDX-License-Identifier: Apache-2.0
# The CUDA kernels' tests: the suites of native/tests on them, and those of the host side.
#
# native_cuda_tests runs on the stand-in for libcuda, whose emulator runs the kernels; cuda_check is the same program with
# the machine code of nvcc, for a GPU (scripts/cuda_check.sh).
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" OR TFXF_SANITIZE)
  return()
endif()

file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cuda/emulated_*.cc")
add_library(tfxf_emulator OBJECT cuda/emulator.cc cuda/emulator_hopper.cc cuda/emulator_threads.cc ${sources})
target_compile_options(tfxf_emulator PRIVATE -O2 -Wno-unknown-pragmas)
target_link_libraries(tfxf_emulator PRIVATE tfxf_options)

# The stand-in, as of a driver before 12.5 (old), and without a function that is needed (broken).
foreach(kind "" _old _broken)
  add_library(cuda_stand_in${kind} SHARED cuda/stand_in.cc $<TARGET_OBJECTS:tfxf_emulator>)
  target_link_libraries(cuda_stand_in${kind} PRIVATE tfxf_options)
  if(kind)
    string(TOUPPER ${kind} name)
    target_compile_definitions(cuda_stand_in${kind} PRIVATE TFXF_STAND_IN${name})
  endif()
endforeach()

# Of the CPU's side only locks: the kernels there need not be built for this.
set(of_device cuda/cuda_device.cc ../cpu/threads_posix.cc)
set(of_tables ${of_device} ../cpu/norm_workspace.cc cuda/cuda_table.cc cuda/cuda_tables.cc cuda/device_buffer.cc)
add_executable(native_cuda_tests ${of_tables} cuda/choice_test.cc cuda/driver_test.cc cuda/emulator_test.cc
  cuda/hopper_test.cc cuda/launch_test.cc cuda/stand_in_call.cc cuda/stand_in_images.cc cuda/tile_mask_test.cc $<TARGET_OBJECTS:tfxf_test_suites>
  $<TARGET_OBJECTS:tfxf_emulator>)
target_link_libraries(native_cuda_tests PRIVATE tfxf_cuda_host Threads::Threads)
target_compile_definitions(native_cuda_tests PRIVATE TFXF_STAND_INS="${CMAKE_CURRENT_BINARY_DIR}")
add_dependencies(native_cuda_tests cuda_stand_in cuda_stand_in_old cuda_stand_in_broken)
function(tfxf_add_cuda_test name)
  add_test(NAME native_cuda_${name} COMMAND native_cuda_tests ${ARGN})
  set_property(TEST native_cuda_${name} PROPERTY ENVIRONMENT TFXF_LIBCUDA=$<TARGET_FILE:cuda_stand_in>)
endfunction()
tfxf_add_cuda_test(host --filter cuda/)
tfxf_add_cuda_test(golden --filter golden/)
tfxf_add_cuda_test(edge --filter edge/)
tfxf_add_cuda_test(forward --filter fuzz/attention/forward --rounds 30)
tfxf_add_cuda_test(backward --filter fuzz/attention/backward --rounds 30)
tfxf_add_cuda_test(norm --filter fuzz/norm --rounds 20)
tfxf_add_cuda_test(hidden --filter hidden/ --rounds 15)
# Problems that the kernels of warpgroups take; and what they take by the kernels that serve elsewhere.
tfxf_add_cuda_test(wgmma_forward --filter fuzz/attention/forward --rounds 60 --plain)
tfxf_add_cuda_test(wgmma_backward --filter fuzz/attention/backward --rounds 60 --plain)
tfxf_add_cuda_test(wgmma_hidden --filter hidden/ --rounds 25 --plain)
tfxf_add_cuda_test(mma_golden --filter golden/attention)
tfxf_add_cuda_test(mma_edge --filter edge/attention)
tfxf_add_cuda_test(mma_forward --filter fuzz/attention/forward --rounds 15 --plain)
tfxf_add_cuda_test(mma_backward --filter fuzz/attention/backward --rounds 15 --plain)
tfxf_add_cuda_test(mma_hidden --filter hidden/attention/from_some --rounds 15 --plain)
foreach(name mma_golden mma_edge mma_forward mma_backward mma_hidden)
  set_property(TEST native_cuda_${name} APPEND PROPERTY ENVIRONMENT TFXF_NO_WGMMA=1)
endforeach()

if(TFXF_CUDA_FOUND)
  string(REPLACE ";" "," reports "${TFXF_CUDA_REPORTS}")
  add_test(NAME native_cuda_reports COMMAND ${CMAKE_COMMAND} -DREPORTS=${reports}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/../cmake/check_cuda_reports.cmake)
  # Of the same CUDA, and no other: where nvcc itself is, not where a link to it is.
  get_filename_component(of_nvcc ${TFXF_NVCC} REALPATH)
  get_filename_component(of_nvcc ${of_nvcc} DIRECTORY)
  find_program(TFXF_CUOBJDUMP cuobjdump HINTS ${of_nvcc} NO_DEFAULT_PATH)
  if(TFXF_CUOBJDUMP)
    set(fatbins ${TFXF_FATBINS})
    list(FILTER fatbins INCLUDE REGEX "_sm90\\.fatbin$")
    string(REPLACE ";" "," fatbins "${fatbins}")
    add_test(NAME native_cuda_order COMMAND ${CMAKE_COMMAND} -DCUOBJDUMP=${TFXF_CUOBJDUMP} -DFATBINS=${fatbins}
      -P ${CMAKE_CURRENT_SOURCE_DIR}/../cmake/check_cuda_order.cmake)
  else()
    message(STATUS "There is no cuobjdump beside nvcc: the order of the kernels' instructions is not tested")
  endif()
  add_executable(cuda_check ${of_tables} $<TARGET_OBJECTS:tfxf_test_suites> $<TARGET_OBJECTS:tfxf_cuda_images>)
  target_link_libraries(cuda_check PRIVATE tfxf_cuda_host Threads::Threads)
  add_executable(cuda_bench ${of_device} cuda/cuda_bench.cc $<TARGET_OBJECTS:tfxf_cuda_images>)
  target_link_libraries(cuda_bench PRIVATE tfxf_cuda_host Threads::Threads)
  add_test(NAME native_cuda_bench COMMAND cuda_bench)
  set_property(TEST native_cuda_bench PROPERTY ENVIRONMENT
    TFXF_LIBCUDA=$<TARGET_FILE:cuda_stand_in> TFXF_BENCH_TINY=1)
endif()
