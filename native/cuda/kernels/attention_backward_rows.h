// SPDX-License-Identifier: Apache-2.0
/**
 * What the backward passes have in common. With p = exp(score - logSumExp), of which dropout keeps and scales some:
 *
 *     dp = dout·v      ds = p * (keep * dp - delta)      delta = sum(dout * out) - dlogSumExp
 *     dv += keep * p * dout      dq += scale * slope * ds * k      dk += scale * slope * ds * q      dbias += ds
 *
 * slope = 1 - tanh^2 under a softcap, else 1. Scores are in natural units, as forward has them, so that a key that has
 * all of the weight gets exactly 1.
 *
 * A pair that mask or bias hides has p = ds = 0, whatever its products are. One that they do not hide goes by the formulas:
 * of a score of -Infinity p is 0, but ds is NaN if dp or delta is.
 */
#pragma once

#include "cuda/kernels/attention_rows.h"
#include "cuda/kernels/tile_mend.h"
#include "cuda/kernels/tile_stream.h"

namespace tfxf {
namespace cuda {

/** Of one query of one head, by rows of the tensors. */
struct BackwardQuery {
  int32_t batch, head, i;  // i: row of the query tensor
  float log_sum_exp;       // +Infinity, not -Infinity, if all that it sees has scores of -Infinity: p is 0
  float delta;
  uint32_t row_key;
};

TFXF_DEVICE BackwardQuery backward_query(const AttentionBackwardParams& params, int32_t batch, int32_t head, int32_t i,
                                         bool exists) {
  const AttentionParams& p = params.common;
  BackwardQuery query = {batch, head, i, 0.0f, 0.0f, 0u};
  if (!exists) return query;
  const int64_t at = sum_index(p, batch, head, i);
  query.log_sum_exp = params.log_sum_exp[at];
  if (query.log_sum_exp == -infinity()) query.log_sum_exp = infinity();
  query.delta = params.delta[at];
  if (p.threshold > 0) query.row_key = row_key_of(p, batch, head, i);
  return query;
}

/** Whether a cell depends on where in the key tensor its key is. */
TFXF_DEVICE bool needs_key_row(const AttentionParams& p) { return p.threshold > 0 || p.bias.kind != 0; }

/** What one score gives: the weight after dropout, and ds. */
struct BackwardCell {
  float kept, ds, slope;
};

/** `key`: row of the key tensor, which bias and dropout go by. */
TFXF_DEVICE BackwardCell backward_cell(const AttentionParams& p, const BackwardQuery& query, float dot, float dweight,
                                       int32_t key) {
  float s = product(dot, p.scale), slope = 1.0f;
  if (p.softcap > 0.0f) {
    const float ratio = softcap_tanh(s / p.softcap);
    s = p.softcap * ratio;
    slope = 1.0f - ratio * ratio;
  }
  if (p.bias.kind != 0) {
    const int64_t at = query.batch * p.bias.b + query.head * p.bias.h + query.i * p.bias.i + key * p.bias.j;
    if (p.bias.kind == 1) {
      const float bias = static_cast<const float*>(p.bias.data)[at];
      if (bias == -infinity()) return {0.0f, 0.0f, 0.0f};
      s += bias;
    } else if (static_cast<const uint8_t*>(p.bias.data)[at] == 0) {
      return {0.0f, 0.0f, 0.0f};
    }
  }
  const float weight = power_of_two(difference(s, query.log_sum_exp) * kLog2E);
  const float keep = p.threshold == 0 ? 1.0f : is_kept(p, query.row_key, key) ? p.keep_scale : 0.0f;
  const float kept = keep == 0.0f ? 0.0f : weight * keep;
  return {kept, weight * ((keep == 0.0f ? 0.0f : dweight * keep) - query.delta), slope};
}

/** Four arrays of a warp's accumulators to zero. */
template <int kA, int kB>
TFXF_DEVICE void clear(float (&x)[kA][kB][4]) {
#pragma unroll
  for (int a = 0; a < kA; a++) {
#pragma unroll
    for (int b = 0; b < kB; b++) {
#pragma unroll
      for (int c = 0; c < 4; c++) x[a][b][c] = 0.0f;
    }
  }
}

/** Writes a stripe of sums as float32 rows of `dim` columns; `row_of(e)` is where row g + 8 e goes, or -1. */
template <int kDim, typename RowOf>
TFXF_DEVICE void store_rows(float* to, const float (&x)[kDim / 8][4], int32_t dim, float factor, const RowOf& row_of) {
  const int t = lane_index() & 3;
#pragma unroll
  for (int e = 0; e < 2; e++) {
    const int64_t row = row_of(e);
    if (row < 0) continue;
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
      const int column = 8 * d + 2 * t;
      if (column < dim) to[row * dim + column] = x[d][2 * e] * factor;
      if (column + 1 < dim) to[row * dim + column + 1] = x[d][2 * e + 1] * factor;
    }
  }
}

/** A row of the query tensor, or null. */
template <typename T>
TFXF_DEVICE const T* row_or_null(const HeadsParams& heads, int32_t b, int32_t row, int32_t head, bool exists) {
  return exists ? row_pointer<T>(heads, b, row, head) : nullptr;
}

}  // namespace cuda
}  // namespace tfxf
