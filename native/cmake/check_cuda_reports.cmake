# SPDX-License-Identifier: Apache-2.0
# Checks what ptxas said of the kernels: cmake -DREPORTS=a.txt,b.txt -P check_cuda_reports.cmake
#
# Kernels of warpgroups must have been compiled as they are written: ptxas says so where it puts waits between their products,
# or does not pass registers on. No kernel may have a stack or spill registers but those of dbias, which add up what few calls ask for, and the norm gradient
# of rows that a warp reads again, in which ptxas puts away one register of 80 on sm_90a; there are reports of all kernels.
string(REPLACE "," ";" files "${REPORTS}")
set(kernels 0)
set(of_groups 0)
set(most 0)
foreach(file IN LISTS files)
  file(STRINGS ${file} lines)
  foreach(line IN LISTS lines)
    if(line MATCHES "Compiling entry function '([^']+)' for '([^']+)'")
      set(kernel "${CMAKE_MATCH_1} on ${CMAKE_MATCH_2}")
      math(EXPR kernels "${kernels} + 1")
      if(kernel MATCHES "_wgmma_[0-9]+ on sm_90a")
        math(EXPR of_groups "${of_groups} + 1")
      endif()
    elseif(line MATCHES "([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads")
      if(NOT "${CMAKE_MATCH_1} ${CMAKE_MATCH_2} ${CMAKE_MATCH_3}" STREQUAL "0 0 0" AND NOT kernel MATCHES "_dbias_|norm_backward_32x0 on sm_90a")
        message(SEND_ERROR "${kernel}: ${line}")
      endif()
    elseif(line MATCHES "wgmma.*serialized|setmaxnreg.*ignored")
      message(SEND_ERROR "${kernel}: ${line}")
    elseif(line MATCHES "Used ([0-9]+) registers" AND CMAKE_MATCH_1 GREATER most)
      set(most ${CMAKE_MATCH_1})
    endif()
  endforeach()
endforeach()
if(kernels LESS 50 OR NOT of_groups EQUAL 10)
  message(SEND_ERROR "the reports tell of ${kernels} kernels, ${of_groups} of warpgroups: expected all of both chips, and 10")
endif()
message(STATUS "${kernels} kernels, none but dbias and one of norm may spill, up to ${most} registers a thread")
