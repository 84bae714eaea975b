// SPDX-License-Identifier: Apache-2.0
/**
 * When a result passes. An element passes when its error against the float64 reference is at most
 *
 *     forward,  float32    3e-5 * unit + 3e-5 * |reference|
 *     forward,  bfloat16   one bfloat16 ulp of the reference + 3e-5 * unit
 *     gradient, float32    1e-4 * unit + 1e-4 * |reference|
 *     gradient, bfloat16   4e-3 * unit + 1e-2 * |reference|
 *
 * as in test/support/close.ts: `unit` is the size that the inputs give to results, and a tensor with an element
 * beyond this still passes if its largest error is at most 2 (gradients: 3) times that of the naive
 * composition in the same dtype. Infinities must be equal, and NaN must be where the reference has NaN.
 */
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/dtype.h"

namespace tfxf {
namespace test {

using Shape = std::vector<int64_t>;

struct Rule {
  bool gradient = false;
  DType dtype = DType::kFloat32;
  double unit = 1.0;  // kLargest: the largest |reference|
  std::function<std::vector<double>()> naive = nullptr;
};
constexpr double kLargest = -1.0;

/** Fails the test, naming the worst element by its index in `shape`, unless `got` passes the rule. */
void expect_close(const std::string& what, const std::vector<float>& got,
                  const std::vector<double>& want, const Shape& shape, const Rule& rule);

/** Fails unless all bits are equal, but for those elements of which `skip` says so. */
void expect_same_bits(const std::string& what, const std::vector<float>& got,
                      const std::vector<float>& want, const Shape& shape,
                      const std::function<bool(int64_t)>& skip = nullptr);

/** "[1, 2, 3]": the index of element n. */
std::string index_of(int64_t n, const Shape& shape);

/** The same values as double. */
std::vector<double> as_double(const std::vector<float>& values);

}  // namespace test
}  // namespace tfxf
