// SPDX-License-Identifier: Apache-2.0
/** The kernels of this part, compiled for the emulator. */
#include "cuda/kernels/attention_dkeys_wgmma.h"
#include "cuda/kernels/attention_dquery_wgmma.h"
#include "cuda/kernels/attention_forward_wgmma.h"
#include "tests/cuda/emulated_table.h"

namespace tfxf {
namespace cuda {

const EmulatedKernel k_emulated_attention_wgmma[] = {
    TFXF_FORWARD_SM90_KERNELS(TFXF_EMULATED) TFXF_BACKWARD_SM90_KERNELS(TFXF_EMULATED) {nullptr, nullptr}};

}  // namespace cuda
}  // namespace tfxf
