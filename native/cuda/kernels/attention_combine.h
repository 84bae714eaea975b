// SPDX-License-Identifier: Apache-2.0
/**
 * Joins the splits of attention_forward.h: each has the normalized output and the logSumExp of its own keys.
 *
 *     L = log(sum_s exp(L_s) + exp(sink))      out = sum_s exp(L_s - L) out_s
 *
 * One warp owns a row of a head; splits are taken in their order, so results do not depend on which ended first.
 */
#pragma once

#include "cuda/kernels/attention_forward.h"

namespace tfxf {
namespace cuda {

TFXF_DEVICE void attention_combine(const AttentionForwardParams& params) {
  const AttentionParams& p = params.common;
  const int64_t rows = static_cast<int64_t>(p.batch) * p.queries * p.heads;
  const int64_t row = block_index() * RowWarps::kRows + warp_index();
  if (row >= rows) return;
  const int32_t head = static_cast<int32_t>(row % p.heads);
  const int64_t query = row / p.heads;
  const int32_t i = static_cast<int32_t>(query % p.queries), b = static_cast<int32_t>(query / p.queries);
  const float* sums = params.partial_log_sum_exp + sum_index(p, b, head, i);
  float most = -infinity();
  for (int32_t n = 0; n < p.splits; n++) most = fmaxf(most, sums[n * rows]);
  bool sees = most != -infinity();
  for (int32_t n = 0; n < p.splits; n++) sees = sees || sums[n * rows] != -infinity();
  if (sees && p.sink != nullptr) most = fmaxf(most, p.sink[head]);
  const float base = most == -infinity() ? 0.0f : most;
  float total = sees && p.sink != nullptr ? power_of_two((p.sink[head] - base) * kLog2E) : 0.0f;
  for (int32_t n = 0; n < p.splits; n++) total += power_of_two((sums[n * rows] - base) * kLog2E);
  const float log_sum_exp = sees ? base + logf(total) : -infinity();
  if (lane_index() == 0) params.log_sum_exp[sum_index(p, b, head, i)] = log_sum_exp;
  const int32_t dim = p.value.dim;
  for (int32_t column = 2 * lane_index(); column < dim; column += 64) {
    float x = 0.0f, y = 0.0f;
    for (int32_t n = 0; n < p.splits && sees; n++) {
      const float weight = power_of_two((sums[n * rows] - base) * kLog2E) / total;
      const float* from = params.partial_output + (n * rows + row) * dim + column;
      x += weight * from[0];
      if (column + 1 < dim) y += weight * from[1];
    }
    store_pair(params.output, params.output_is_bf16 != 0, row, dim, column, x, y);
  }
}

}  // namespace cuda
}  // namespace tfxf
