// SPDX-License-Identifier: Apache-2.0
/**
 * What the softmax's own derivative needs of each query row, and the gradient of the sinks, which needs nothing else:
 *
 *     delta    = rowsum(dO * O) - dLSE          (0 for a row that sees no key)
 *     dsink[h] = -sum over b and i of exp(sink[h] - LSE) * delta
 *
 * The sink is a key whose value is 0, so its dP is 0. One work item owns kDeltaRows rows of the query tensor, all heads
 * of them, in one pass; for dsink, one head. Sums are float32, in a fixed order.
 */
#pragma once

#include "cpu/kernels/attention_backward_call.h"

namespace tfxf {
namespace TFXF_ISA {

constexpr int64_t kDeltaRows = 32;

/** Fills in delta of one row. */
static inline void row_delta(const BackwardCall& call, int64_t b, int64_t i, int64_t h) {
  const AttentionBackwardArgs& args = call.args;
  const AttentionShape& shape = args.common.shape;
  const int64_t at = (b * shape.heads + h) * shape.queries + i;
  const int64_t row = (b * shape.queries + i) * shape.heads + h;
  const int64_t output_bytes =
      row_elements(args.output_dtype, shape.value_dim) * element_bytes(args.output_dtype);
  const bool is_dead = args.log_sum_exp[at] == kHidden;
  float delta = 0.0f;
  if (!is_dead) {
    const float* doutput = args.doutput + row * shape.value_dim;
    delta = row_product(reinterpret_cast<const char*>(doutput), DType::kFloat32,
                        static_cast<const char*>(args.output) + row * output_bytes, args.output_dtype, shape.value_dim);
    if (args.dlog_sum_exp != nullptr) delta -= args.dlog_sum_exp[at];
  }
  call.delta[at] = delta;
}

static inline void compute_deltas(const BackwardCall& call, const Parallel& parallel) {
  const AttentionShape& shape = call.args.common.shape;
  const int64_t rows = shape.batch * shape.queries;
  parallel_for(parallel, divide_up(rows, kDeltaRows), [&](int64_t item, int) {
    const int64_t end = smaller((item + 1) * kDeltaRows, rows);
    for (int64_t row = item * kDeltaRows; row < end; row++) {
      for (int64_t h = 0; h < shape.heads; h++) {
        row_delta(call, row / shape.queries, row % shape.queries, h);
      }
    }
  });
}

/** -sum over the rows of a head of exp(sink - LSE) * delta, of one batch item. */
static float sink_gradient(const BackwardCall& call, int64_t first, int64_t rows, float sink) {
  Vf sum = {};
  for (int64_t i = 0; i < rows; i += kWidth) {
    const bool is_whole = i + kWidth <= rows;
    const float* lse_at = call.args.log_sum_exp + first + i;
    const float* delta_at = call.delta + first + i;
    const Vf lse = is_whole ? load(lse_at) : load_first(lse_at, rows - i);
    const Vf delta = is_whole ? load(delta_at) : load_first(delta_at, rows - i);
    const Vf product = exp(sink - lse) * delta;
    // Lanes past the end have a delta of 0, but the sink may be so large that they come out as NaN.
    const Vi counts = reinterpret_cast<Vi>(lse != kHidden) &
                      reinterpret_cast<Vi>(lane_numbers() < static_cast<int32_t>(smaller(rows - i, kWidth)));
    sum -= counts ? product : Vf{};
  }
  return sum_lanes(sum);
}

static inline void compute_dsink(const BackwardCall& call, const Parallel& parallel) {
  const AttentionShape& shape = call.args.common.shape;
  parallel_for(parallel, shape.heads, [&](int64_t h, int) {
    float total = 0.0f;
    for (int64_t b = 0; b < shape.batch; b++) {
      const int64_t first = (b * shape.heads + h) * shape.queries;
      total += sink_gradient(call, first, shape.queries, call.args.common.sink[h]);
    }
    call.args.dsink[h] = total;
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
