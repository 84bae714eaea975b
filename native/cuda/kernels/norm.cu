// SPDX-License-Identifier: Apache-2.0
/** Module: norms, and bfloat16 conversions. */
#include "cuda/kernels/convert.h"
#include "cuda/kernels/norm_backward.h"
#include "cuda/kernels/norm_forward.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_NORM_KERNELS(TFXF_ENTRY)
}  // namespace cuda
}  // namespace tfxf
