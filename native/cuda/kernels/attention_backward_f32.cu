// SPDX-License-Identifier: Apache-2.0
/** Module: attention backward of f32. */

#include "cuda/kernels/attention_dbias.h"
#include "cuda/kernels/attention_dkeys.h"
#include "cuda/kernels/attention_dquery.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_BACKWARD_F32_KERNELS(TFXF_ENTRY)
}  // namespace cuda
}  // namespace tfxf
