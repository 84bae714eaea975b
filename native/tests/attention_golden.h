// SPDX-License-Identifier: Apache-2.0
/** The attention cases of test/golden. */
#pragma once

#include "tests/attention_call.h"
#include "tests/attention_reference.h"

namespace tfxf {
namespace test {

struct GoldenAttention {
  std::string name;
  AttentionProblem problem;
  /** Rows of query and key tensors that the file holds; empty: all. */
  std::vector<int64_t> rows, kv_rows;
  /** How much larger than of standard normal inputs results may be, with their rounding errors. */
  double query_unit = 1.0, key_unit = 1.0;
};

std::vector<GoldenAttention> golden_attention();

/** Those rows of axis `axis` of a tensor; all where `rows` is empty. */
template <typename T>
std::vector<T> rows_of(const std::vector<T>& values, const Shape& shape, size_t axis,
                       const std::vector<int64_t>& rows) {
  if (rows.empty()) return values;
  int64_t outer = 1, inner = 1;
  for (size_t n = 0; n < axis; n++) outer *= shape[n];
  for (size_t n = axis + 1; n < shape.size(); n++) inner *= shape[n];
  std::vector<T> picked;
  for (int64_t o = 0; o < outer; o++) {
    for (const int64_t row : rows) {
      const auto from = values.begin() + (o * shape[axis] + row) * inner;
      picked.insert(picked.end(), from, from + inner);
    }
  }
  return picked;
}

/** The shape of that. */
Shape with_rows(Shape shape, size_t axis, const std::vector<int64_t>& rows);

}  // namespace test
}  // namespace tfxf
