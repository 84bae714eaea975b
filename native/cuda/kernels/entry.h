// SPDX-License-Identifier: Apache-2.0
/** An entry of a module, as kernel_list.h has it: TFXF_..._KERNELS(TFXF_ENTRY) in a .cu file. */
#pragma once

#include "cuda/kernel_list.h"

#define TFXF_ENTRY(name, Params, Shape, function)                                                        \
  extern "C" __global__ void __launch_bounds__(::tfxf::cuda::Bare<void Shape>::type::kThreads)          \
      tfxf_##name(const __grid_constant__ ::tfxf::cuda::Params params) {                                 \
    function(params);                                                                                    \
  }
