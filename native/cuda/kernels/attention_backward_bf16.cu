// SPDX-License-Identifier: Apache-2.0
/** Module: attention backward of bf16. */
#include "cuda/kernels/attention_backward_small.h"
#include "cuda/kernels/attention_dbias.h"
#include "cuda/kernels/attention_dkeys.h"
#include "cuda/kernels/attention_dquery.h"
#include "cuda/kernels/entry.h"

namespace tfxf {
namespace cuda {
TFXF_BACKWARD_BF16_KERNELS(TFXF_ENTRY)
}  // namespace cuda
}  // namespace tfxf
