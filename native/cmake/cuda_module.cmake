# SPDX-License-Identifier: Apache-2.0
# Compiles one kernels/*.cu: cmake -DNVCC=… -DSOURCE=….cu -DFOLDER=… -DINCLUDE=… -P cuda_module.cmake
#
# FOLDER gets <module>.fatbin, with machine code for A100 (sm_80) and Hopper (sm_90a) and PTX that drivers compile for
# newer chips, and <module>.txt: what ptxas says of registers, shared memory and spills of each kernel. A module whose name
# ends in _sm90 is for Hopper alone.
get_filename_component(module ${SOURCE} NAME_WE)
set(chips -gencode arch=compute_90a,code=sm_90a)
if(NOT module MATCHES "_sm90$")
  list(APPEND chips -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=compute_80)
endif()
file(MAKE_DIRECTORY ${FOLDER})
execute_process(
  COMMAND ${NVCC} -std=c++17 -O3 -fatbin -I ${INCLUDE} -Xptxas -v --compress-mode=size ${chips} -o ${FOLDER}/${module}.fatbin ${SOURCE}
  OUTPUT_VARIABLE report ERROR_VARIABLE report RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "nvcc could not compile ${SOURCE} (-DTFXF_CUDA=OFF builds without CUDA kernels):\n${report}")
endif()
file(WRITE ${FOLDER}/${module}.txt "${report}")
