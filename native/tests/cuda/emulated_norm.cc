// SPDX-License-Identifier: Apache-2.0
/** The kernels of this part, compiled for the emulator. */
#include "cuda/kernels/convert.h"
#include "cuda/kernels/norm_backward.h"
#include "cuda/kernels/norm_forward.h"
#include "tests/cuda/emulated_table.h"

namespace tfxf {
namespace cuda {

const EmulatedKernel k_emulated_norm[] = {
    TFXF_NORM_KERNELS(TFXF_EMULATED) {nullptr, nullptr}};

}  // namespace cuda
}  // namespace tfxf
