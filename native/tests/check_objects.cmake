# SPDX-License-Identifier: Apache-2.0
# Checks the objects of one instruction set: cmake -DNM=… -DISA=avx512 "-DOBJECTS=a.o,b.o" -P check_objects.cmake
#
# All that they define for the linker must lie in the namespace tfxf::<ISA>. Of an inline function or a template outside
# of it the linker keeps one copy, any one, and so a copy with AVX-512 in it could serve the baseline kernels.
string(REPLACE "," ";" objects "${OBJECTS}")
string(LENGTH "${ISA}" length)
execute_process(COMMAND "${NM}" --defined-only --extern-only --format=posix ${objects}
  OUTPUT_VARIABLE output RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${NM} cannot read the objects of ${ISA}")
endif()
string(REPLACE "\n" ";" lines "${output}")
set(count 0)
foreach(line IN LISTS lines)
  if(line MATCHES "^([^ ]+) [A-TV-Zuvw] ")
    math(EXPR count "${count} + 1")
    set(symbol "${CMAKE_MATCH_1}")
    if(NOT symbol MATCHES "^_?_ZN?K?4tfxf${length}${ISA}")
      message(SEND_ERROR "the objects of ${ISA} define ${symbol}, which is not in tfxf::${ISA}")
    endif()
  endif()
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "the objects of ${ISA} define nothing")
endif()
message(STATUS "${ISA}: ${count} symbols, all in tfxf::${ISA}")
