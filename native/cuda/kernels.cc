// SPDX-License-Identifier: Apache-2.0
/** The table of kernels, from kernel_list.h. */
#include "cuda/kernels.h"

namespace tfxf {
namespace cuda {
namespace {

#define TFXF_MODULE_NUMBER(name, list) kModule_##name,
enum ModuleNumber : int { TFXF_CUDA_MODULES(TFXF_MODULE_NUMBER) kModuleNumbers };
static_assert(kModuleNumbers == kModules, "a device has a place for each module");

#define TFXF_ONE(name, Params, Shape, ...) +1
/** Kernels of each module. */
#define TFXF_COUNT(name, list) 0 list(TFXF_ONE),
constexpr int kCounts[] = {TFXF_CUDA_MODULES(TFXF_COUNT)};

/** Modules follow each other in the numbers of kernels. */
constexpr int module_of(int kernel) {
  int module = 0;
  for (int end = kCounts[0]; kernel >= end; end += kCounts[module]) module++;
  return module;
}

}  // namespace

#define TFXF_ROW(name, Params, Shape, ...)                                         \
  {"tfxf_" #name, module_of(kKernel_##name), Bare<void Shape>::type::kThreads,     \
   Bare<void Shape>::type::kSharedBytes, static_cast<int>(sizeof(Params))},
#define TFXF_ROWS(name, list) list(TFXF_ROW)
const KernelInfo kKernels[] = {TFXF_CUDA_MODULES(TFXF_ROWS)};
const int kKernelCount = kKernelNumbers;

const char* module_name(int module) {
#define TFXF_NAME(name, list) #name,
  static const char* const names[] = {TFXF_CUDA_MODULES(TFXF_NAME)};
  return names[module];
}

}  // namespace cuda
}  // namespace tfxf
