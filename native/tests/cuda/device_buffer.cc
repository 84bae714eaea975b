// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/device_buffer.h"

#include <vector>

#include "tests/guarded.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

constexpr size_t kZone = 256;

}  // namespace

void expect_success(const cuda::Device& device, cuda::CuResult result, const char* what) {
  cuda::Error error;
  if (!device.driver->check(result, what, error)) fail(error.text);
}

DeviceBuffer::DeviceBuffer(cuda::Device& device, const void* host, int64_t bytes, const char* name)
    : device_(device), name_(name), bytes_(static_cast<size_t>(bytes)) {
  before_ = kZone + reinterpret_cast<uintptr_t>(host) % 64;
  // Ends at most 255 bytes before the end of what the driver gives, where the stand-in has a page that cannot be read.
  all_ = (before_ + bytes_ + kZone - 1) / kZone * kZone;
  if (host == nullptr) return;
  const cuda::DriverApi& api = device.driver->api;
  std::vector<unsigned char> image(all_, kGuardByte);
  if (bytes_ > 0) memcpy(image.data() + before_, host, bytes_);
  expect_success(device, api.MemAlloc(&address_, all_), "cuMemAlloc");
  expect_success(device, api.MemcpyHtoDAsync(address_, image.data(), all_, device.stream), "cuMemcpyHtoDAsync");
  expect_success(device, api.StreamSynchronize(device.stream), "cuStreamSynchronize");
}

DeviceBuffer::~DeviceBuffer() {
  if (address_ == 0) return;
  check_zone(0, before_, "before");
  check_zone(before_ + bytes_, all_, "behind");
  device_.driver->api.MemFree(address_);
}

void DeviceBuffer::bring(void* host) const {
  if (address_ == 0 || bytes_ == 0) return;
  const cuda::DriverApi& api = device_.driver->api;
  expect_success(device_, api.MemcpyDtoHAsync(host, address_ + before_, bytes_, device_.stream), "cuMemcpyDtoHAsync");
  expect_success(device_, api.StreamSynchronize(device_.stream), "cuStreamSynchronize");
}

void DeviceBuffer::check_zone(size_t begin, size_t end, const char* where) const {
  std::vector<unsigned char> zone(end - begin);
  const cuda::DriverApi& api = device_.driver->api;
  api.MemcpyDtoHAsync(zone.data(), address_ + begin, zone.size(), device_.stream);
  api.StreamSynchronize(device_.stream);
  for (size_t n = 0; n < zone.size(); n++) {
    if (zone[n] == kGuardByte) continue;
    return fail(format("%s: a kernel wrote %s its %zu bytes, at byte %zu of the zone", name_, where, bytes_, n));
  }
}

}  // namespace test
}  // namespace tfxf
