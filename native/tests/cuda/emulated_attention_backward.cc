// SPDX-License-Identifier: Apache-2.0
/** The kernels of this part, compiled for the emulator. */
#include "cuda/kernels/attention_backward_small.h"
#include "cuda/kernels/attention_dbias.h"
#include "cuda/kernels/attention_dkeys.h"
#include "cuda/kernels/attention_dquery.h"
#include "tests/cuda/emulated_table.h"

namespace tfxf {
namespace cuda {

const EmulatedKernel k_emulated_attention_backward[] = {
    TFXF_BACKWARD_BF16_KERNELS(TFXF_EMULATED) TFXF_BACKWARD_F32_KERNELS(TFXF_EMULATED) {nullptr, nullptr}};

}  // namespace cuda
}  // namespace tfxf
