// SPDX-License-Identifier: Apache-2.0
/** Numbers of the kernels: kKernel_norm_forward_8x1, … */
#pragma once

#include "cuda/driver.h"
#include "cuda/kernel_list.h"

namespace tfxf {
namespace cuda {

#define TFXF_NUMBER(name, Params, Shape, ...) kKernel_##name,
#define TFXF_NUMBERS(module, list) list(TFXF_NUMBER)
enum KernelNumber : KernelId { TFXF_CUDA_MODULES(TFXF_NUMBERS) kKernelNumbers };
#undef TFXF_NUMBERS
#undef TFXF_NUMBER

static_assert(kKernelNumbers <= kMostKernels, "a device has a place for each kernel");

}  // namespace cuda
}  // namespace tfxf
