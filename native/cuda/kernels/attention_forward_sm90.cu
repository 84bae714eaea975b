// SPDX-License-Identifier: Apache-2.0
/** Module for sm_90a alone: attention forward of bfloat16 by warpgroups. */
#include "cuda/kernels/attention_forward_wgmma.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_FORWARD_SM90_KERNELS(TFXF_ENTRY_ALONE)
}  // namespace cuda
}  // namespace tfxf
