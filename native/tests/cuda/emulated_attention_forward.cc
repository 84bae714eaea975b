// SPDX-License-Identifier: Apache-2.0
/** The kernels of this part, compiled for the emulator. */
#include "cuda/kernels/attention_combine.h"
#include "cuda/kernels/attention_forward.h"
#include "tests/cuda/emulated_table.h"

namespace tfxf {
namespace cuda {

const EmulatedKernel k_emulated_attention_forward[] = {
    TFXF_FORWARD_BF16_KERNELS(TFXF_EMULATED) TFXF_FORWARD_F32_KERNELS(TFXF_EMULATED) {nullptr, nullptr}};

}  // namespace cuda
}  // namespace tfxf
