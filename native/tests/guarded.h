// SPDX-License-Identifier: Apache-2.0
/**
 * Memory of exactly the wanted size between two guard zones. A write into a zone fails the test; under
 * AddressSanitizer so does a read. The zones hold NaN in every storage type, so that elsewhere what is
 * read from them shows in results. The memory begins at a multiple of 64 bytes, plus `shift`.
 */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "tests/runner.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace tfxf {
namespace test {

/** NaN as float32 and as bfloat16; as an int32, -1. */
constexpr int kGuardByte = 0xff;
/** What outputs hold before a call: a finite number in both storage types. */
constexpr int kGarbageByte = 0xf1;

class GuardedBytes {
 public:
  GuardedBytes(size_t bytes, int fill, const char* name, size_t shift = 0)
      : bytes_(bytes), shift_(shift), name_(name) {
    total_ = (2 * kZone + shift + bytes + 63) / 64 * 64;
    all_ = static_cast<uint8_t*>(aligned_alloc(64, total_));
    memset(all_, kGuardByte, total_);
    if (bytes > 0) memset(data(), fill, bytes);
    ASAN_POISON_MEMORY_REGION(all_, kZone + shift);
    ASAN_POISON_MEMORY_REGION(data() + bytes, behind());
  }
  GuardedBytes(GuardedBytes&& other) { *this = std::move(other); }
  GuardedBytes& operator=(GuardedBytes&& other) {
    std::swap(all_, other.all_);
    std::swap(bytes_, other.bytes_);
    std::swap(shift_, other.shift_);
    std::swap(total_, other.total_);
    std::swap(name_, other.name_);
    return *this;
  }
  ~GuardedBytes() {
    if (all_ == nullptr) return;
    ASAN_UNPOISON_MEMORY_REGION(all_, total_);
    check_zone(all_, kZone + shift_, "before");
    check_zone(data() + bytes_, behind(), "behind");
    free(all_);
  }

  uint8_t* data() { return all_ + kZone + shift_; }
  const uint8_t* data() const { return all_ + kZone + shift_; }
  size_t size() const { return bytes_; }

 private:
  static constexpr size_t kZone = 512;

  size_t behind() const { return total_ - kZone - shift_ - bytes_; }

  void check_zone(const uint8_t* zone, size_t length, const char* where) const {
    for (size_t n = 0; n < length; n++) {
      if (zone[n] == kGuardByte) continue;
      fail(format("%s: a write %s its %zu bytes, at byte %zu of the guard zone", name_, where, bytes_, n));
      return;
    }
  }

  uint8_t* all_ = nullptr;
  size_t bytes_ = 0, shift_ = 0, total_ = 0;
  const char* name_ = "";
};

/** An array of `count` elements in guarded memory. */
template <typename T>
class Guarded {
 public:
  Guarded(int64_t count, int fill, const char* name, size_t shift = 0)
      : bytes_(static_cast<size_t>(count) * sizeof(T), fill, name, shift) {}
  /** A copy of a vector's elements. */
  template <typename List>
  static Guarded of(const List& values, const char* name) {
    Guarded array(static_cast<int64_t>(values.size()), 0, name);
    for (size_t n = 0; n < values.size(); n++) array[static_cast<int64_t>(n)] = static_cast<T>(values[n]);
    return array;
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()); }
  int64_t size() const { return static_cast<int64_t>(bytes_.size() / sizeof(T)); }
  T& operator[](int64_t n) { return data()[n]; }
  const T& operator[](int64_t n) const { return data()[n]; }
  std::vector<T> values() const { return std::vector<T>(data(), data() + size()); }

 private:
  GuardedBytes bytes_;
};

}  // namespace test
}  // namespace tfxf
