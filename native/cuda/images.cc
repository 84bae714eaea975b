// SPDX-License-Identifier: Apache-2.0
/**
 * The machine code of the kernels: the .cu files compiled by nvcc into fatbins (sm_80, sm_90a, and PTX for newer chips),
 * which the assembler takes in as they are. Where nvcc was not there TFXF_FATBINS, their folder, is not defined.
 */
#include "cuda/driver.h"
#include "cuda/kernel_list.h"

namespace tfxf {
namespace cuda {

#if defined(TFXF_FATBINS)

#define TFXF_EMBED(name, list)                                              \
  __asm__(                                                                  \
      ".section .rodata\n.balign 64\n.hidden tfxf_fatbin_" #name            \
      "\n.globl tfxf_fatbin_" #name "\ntfxf_fatbin_" #name                  \
      ":\n.incbin \"" TFXF_FATBINS "/" #name ".fatbin\"\n.byte 0\n.previous\n"); \
  extern "C" const unsigned char tfxf_fatbin_##name[] __attribute__((visibility("hidden")));
TFXF_CUDA_MODULES(TFXF_EMBED)

const void* module_image(int module) {
#define TFXF_IMAGE(name, list) tfxf_fatbin_##name,
  static const unsigned char* const images[] = {TFXF_CUDA_MODULES(TFXF_IMAGE)};
  return images[module];
}
bool has_kernels() { return true; }
int image_version() { return TFXF_CUDA_MAJOR * 1000; }

#else

const void* module_image(int) { return nullptr; }
bool has_kernels() { return false; }
int image_version() { return 0; }

#endif

}  // namespace cuda
}  // namespace tfxf
