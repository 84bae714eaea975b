// SPDX-License-Identifier: Apache-2.0
/** Device memory between two zones of NaN that are checked at the end; a copy of host memory, and back. */
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/driver.h"

namespace tfxf {
namespace test {

class DeviceBuffer {
 public:
  /** As far from a multiple of 64 bytes as `host` is, with the same bytes; absent (null) where host is null. */
  DeviceBuffer(cuda::Device& device, const void* host, int64_t bytes, const char* name);
  /** Checks the zones. */
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  void* data() const { return reinterpret_cast<void*>(static_cast<uintptr_t>(address_ == 0 ? 0 : address_ + before_)); }
  /** Waits for the stream and copies all bytes to the host. */
  void bring(void* host) const;

 private:
  void check_zone(size_t begin, size_t end, const char* where) const;

  cuda::Device& device_;
  const char* name_;
  size_t bytes_, before_, all_;
  cuda::CuAddress address_ = 0;
};

/** Fails the test with the driver's words unless the call succeeded. */
void expect_success(const cuda::Device& device, cuda::CuResult result, const char* what);

}  // namespace test
}  // namespace tfxf
