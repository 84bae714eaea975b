// SPDX-License-Identifier: Apache-2.0
/** The kernels of kernel_list.h for the emulator, by the names of their entries. */
#pragma once

namespace tfxf {
namespace cuda {

struct EmulatedKernel {
  const char* name;
  void (*run)(const void* params);
};

/** Null if there is none of this name. */
const EmulatedKernel* emulated_kernel(const char* name);

}  // namespace cuda
}  // namespace tfxf
