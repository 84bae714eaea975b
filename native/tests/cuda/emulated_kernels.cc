// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/emulated_kernels.h"

#include <cstring>

#include "tests/cuda/emulated_table.h"

namespace tfxf {
namespace cuda {

const EmulatedKernel* emulated_kernel(const char* name) {
  const EmulatedKernel* const tables[] = {k_emulated_norm, k_emulated_attention_forward, k_emulated_attention_wgmma,
                                          k_emulated_attention_backward};
  for (const EmulatedKernel* table : tables) {
    for (const EmulatedKernel* kernel = table; kernel->name != nullptr; kernel++) {
      if (strcmp(kernel->name, name) == 0) return kernel;
    }
  }
  return nullptr;
}

}  // namespace cuda
}  // namespace tfxf
