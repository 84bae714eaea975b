// SPDX-License-Identifier: Apache-2.0
/** Module: attention forward of bfloat16, and the sum of splits. */
#include "cuda/kernels/attention_combine.h"
#include "cuda/kernels/attention_forward.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_FORWARD_BF16_KERNELS(TFXF_ENTRY)
}  // namespace cuda
}  // namespace tfxf
