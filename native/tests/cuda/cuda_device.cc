// SPDX-License-Identifier: Apache-2.0
/**
 * The device of the test and benchmark programs. TFXF_LIBCUDA in the environment names another libcuda: the stand-in,
 * with which all of this runs on the emulator. TFXF_CUDA_DEVICE is the device's number. TFXF_NO_WGMMA leaves the kernels of
 * sm_90a alone out, so that those that serve elsewhere can be checked and measured there.
 */
#include <cstdio>
#include <cstdlib>

#include "tests/cuda/cuda_table.h"

namespace tfxf {
namespace test {

cuda::Device& test_device() {
  static cuda::Driver driver;
  static cuda::Device* device = nullptr;
  if (device != nullptr) return *device;
  cuda::Error error;
  cuda::open_driver(driver, getenv("TFXF_LIBCUDA"));
  const char* ordinal = getenv("TFXF_CUDA_DEVICE");
  device = cuda::ready_device(driver, ordinal != nullptr ? atoi(ordinal) : 0, error);
  if (device == nullptr) {
    fprintf(stderr, "The CUDA kernels were not run: %s\n", error.text);
    exit(3);
  }
  if (getenv("TFXF_NO_WGMMA") != nullptr) device->has_wgmma = false;
  printf("on %s (compute capability %d.%d, %d multiprocessors), CUDA %d.%d driver, %s, %s\n", device->name, device->major,
         device->minor, device->multiprocessors, driver.version / 1000, driver.version % 1000 / 10,
         driver.has_context_events() ? "ordered by context events" : "without context events",
         device->has_wgmma ? "with wgmma" : "without wgmma");
  return *device;
}

}  // namespace test
}  // namespace tfxf
