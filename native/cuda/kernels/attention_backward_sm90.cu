// SPDX-License-Identifier: Apache-2.0
/** Module for sm_90a alone: attention backward of bfloat16 by warpgroups. */
#include "cuda/kernels/attention_dkeys_wgmma.h"
#include "cuda/kernels/attention_dquery_wgmma.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_BACKWARD_SM90_KERNELS(TFXF_ENTRY_ALONE)
}  // namespace cuda
}  // namespace tfxf
