// SPDX-License-Identifier: Apache-2.0
/**
 * The CUDA kernels as a KernelTable, so that every test of native/tests runs on them as on the CPU's: each call brings
 * its tensors to the device, into memory of exactly their size between two guard zones, calls cuda/launch.h, waits, and
 * brings the results back. What goes wrong fails the test.
 */
#pragma once

#include "cpu/kernel_table.h"
#include "cuda/driver.h"

namespace tfxf {
namespace test {

/** The table of a device, for the rest of the process. */
const KernelTable& cuda_table(cuda::Device& device);

/** The device that the program runs on: it ends the program, in words, where there is none. */
cuda::Device& test_device();

}  // namespace test
}  // namespace tfxf
