// SPDX-License-Identifier: Apache-2.0
/** Module: attention forward of float32. */
#include "cuda/kernels/attention_forward.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_FORWARD_F32_KERNELS(TFXF_ENTRY)
}  // namespace cuda
}  // namespace tfxf
