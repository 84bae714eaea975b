// SPDX-License-Identifier: Apache-2.0
/**
 * An entry of a module, as kernel_list.h has it: TFXF_..._KERNELS(TFXF_ENTRY) in a .cu file. TFXF_ENTRY_ALONE: of blocks
 * that have a multiprocessor to themselves, whose registers their warpgroups may then share out.
 */
#pragma once

#include "cuda/kernel_list.h"

#define TFXF_ENTRY_OF(name, Params, function, ...)                            \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__)                   \
      tfxf_##name(const __grid_constant__ ::tfxf::cuda::Params params) {      \
    function(params);                                                         \
  }
#define TFXF_ENTRY(name, Params, Shape, function) \
  TFXF_ENTRY_OF(name, Params, function, ::tfxf::cuda::Bare<void Shape>::type::kThreads)
#define TFXF_ENTRY_ALONE(name, Params, Shape, function) \
  TFXF_ENTRY_OF(name, Params, function, ::tfxf::cuda::Bare<void Shape>::type::kThreads, 1)
