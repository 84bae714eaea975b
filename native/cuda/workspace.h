// SPDX-License-Identifier: Apache-2.0
/** Pieces of a workspace, one after the other. With no memory it only counts: sizes and places come from one function. */
#pragma once

#include <cstdint>

namespace tfxf {
namespace cuda {

class Workspace {
 public:
  explicit Workspace(void* memory) : memory_(static_cast<char*>(memory)) {}

  template <typename T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 256;
    char* piece = memory_ != nullptr ? memory_ + bytes_ : nullptr;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(piece);
  }
  int64_t bytes() const { return bytes_; }

 private:
  char* memory_;
  int64_t bytes_ = 0;
};

}  // namespace cuda
}  // namespace tfxf
