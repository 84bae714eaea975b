// SPDX-License-Identifier: Apache-2.0
/** One row of a table of emulated kernels, and the tables, which end in null. */
#pragma once

#include "cuda/kernel_list.h"
#include "tests/cuda/emulated_kernels.h"

#define TFXF_EMULATED(name, Params, Shape, ...) \
  {"tfxf_" #name, [](const void* params) { (__VA_ARGS__)(*static_cast<const Params*>(params)); }},

namespace tfxf {
namespace cuda {

extern const EmulatedKernel k_emulated_norm[], k_emulated_attention_forward[], k_emulated_attention_wgmma[],
    k_emulated_attention_backward[];

}  // namespace cuda
}  // namespace tfxf
