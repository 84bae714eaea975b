// SPDX-License-Identifier: Apache-2.0
/** Random numbers that a seed repeats: SplitMix64 (Steele, Lea, Flood, 2014). */
#pragma once

#include <cstdint>
#include <vector>

namespace tfxf {
namespace test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t word() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /** A whole number from `low` to `high`, both included. */
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(word() % static_cast<uint64_t>(high - low + 1));
  }
  bool chance(double p) { return static_cast<double>(word() >> 11) * 0x1p-53 < p; }
  template <typename T>
  T pick(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(integer(0, static_cast<int64_t>(choices.size()) - 1))];
  }

 private:
  uint64_t state_;
};

}  // namespace test
}  // namespace tfxf
