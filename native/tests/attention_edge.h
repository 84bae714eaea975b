// SPDX-License-Identifier: Apache-2.0
/** Problems that the tests of attention at its edges start from. */
#pragma once

#include <cmath>
#include <string>

#include "tests/attention_call.h"
#include "tests/golden.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {

/** Few columns of float32 never go by tiles. */
struct Kind {
  DType dtype;
  uint8_t columns;
};
constexpr Kind kKinds[] = {{DType::kFloat32, 16}, {DType::kFloat32, 32}, {DType::kBFloat16, 16}};

static inline AttentionProblem problem_of(const AttentionShape& shape, DType dtype = DType::kFloat32) {
  AttentionProblem p;
  p.shape = shape;
  p.dtype = p.output_dtype = dtype;
  p.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.key_dim)));
  p.query = draw_tensor(1, size_of(query_shape(p)), dtype);
  p.key = draw_tensor(2, size_of(key_shape(p)), dtype);
  p.value = draw_tensor(3, size_of(value_shape(p)), dtype);
  p.doutput = draw_tensor(4, size_of(output_shape(p)));
  return p;
}

static inline void expect_all(const std::string& what, const std::vector<float>& values, float want) {
  for (size_t n = 0; n < values.size(); n++) {
    if (values[n] == want) continue;
    return fail(format("%s: element %zu is %g, not %g", what.c_str(), n, static_cast<double>(values[n]),
                       static_cast<double>(want)));
  }
}

/** 384 rows: whole tiles of every kernel, in which nothing is hidden. 40: on a GPU one tile that is not full. */
static inline AttentionProblem problem_of_ones(int64_t rows, const Kind& kind) {
  AttentionProblem p = problem_of({1, rows, rows, 1, 1, kind.columns, kind.columns}, kind.dtype);
  p.query.assign(p.query.size(), 1.0f);
  return p;
}

}  // namespace test
}  // namespace tfxf
