// SPDX-License-Identifier: Apache-2.0
/** The end of a row of attention, forward: its sums are divided and written, and its logSumExp. */
#pragma once

#include "cuda/kernels/attention_rows.h"

namespace tfxf {
namespace cuda {

/** Writes two neighbouring results, of which those at or beyond `dim` are padding. */
TFXF_DEVICE void store_pair(void* output, bool is_bf16, int64_t row, int32_t dim, int32_t column, float x, float y) {
  if (column >= dim) return;
  const bool pair = column + 1 < dim;
  if (is_bf16) {
    const int64_t words = (dim + 1) / 2;
    static_cast<uint32_t*>(output)[row * words + column / 2] = pack_bf16(x, pair ? y : 0.0f);
  } else {
    float* to = static_cast<float*>(output) + row * dim + column;
    to[0] = x;
    if (pair) to[1] = y;
  }
}

/** What softmax made of the keys that a row sees: the highest score, in natural units, and the sum of weights. */
struct RowSums {
  float most, sum;
  bool sees;
};

/** word[k] of lane t of four becomes word[t] of lane k: rows of words become columns. */
TFXF_DEVICE void transpose_words(uint32_t (&word)[4]) {
  const int t = lane_index() & 3;
#pragma unroll
  for (int n = 0; n < 4; n += 2) {
    const uint32_t got = shuffle_xor((t & 1) != 0 ? word[n] : word[n + 1], 1);
    ((t & 1) != 0 ? word[n] : word[n + 1]) = got;
  }
#pragma unroll
  for (int n = 0; n < 2; n++) {
    const uint32_t got = shuffle_xor((t & 2) != 0 ? word[n] : word[n + 2], 2);
    ((t & 2) != 0 ? word[n] : word[n + 2]) = got;
  }
}

/** A row of bfloat16, 16 bytes at a time; by all lanes of the warp, of which only those of rows that exist write. */
template <int kTiles>
TFXF_DEVICE void store_chunks(void* output, int64_t row, int32_t dim, bool exists, const float (&o)[kTiles][4], int e,
                              float factor, bool sees) {
#pragma unroll
  for (int d = 0; d < kTiles; d += 4) {
    uint32_t word[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
      word[n] = sees ? pack_bf16(o[d + n][2 * e] * factor, o[d + n][2 * e + 1] * factor) : 0u;
    }
    transpose_words(word);
    const int32_t column = 8 * (d + (lane_index() & 3));
    if (!exists || column >= dim) continue;
    const Words4 chunk = {{word[0], word[1], word[2], word[3]}};
    *reinterpret_cast<Words4*>(static_cast<uint16_t*>(output) + row * dim + column) = chunk;
  }
}

/**
 * Row e of the accumulators `o` (g, or g + 8) is divided by the sum of its weights, which takes the sink in where this
 * block sees all keys, and written by the four lanes that share it. kChunks: 16 bytes at a time where params allow it.
 */
template <bool kChunks, int kTiles>
TFXF_DEVICE void finish_row(const AttentionForwardParams& params, const Place& place, const QueryRow& query,
                            const RowSums& row, const float (&o)[kTiles][4], int e) {
  const AttentionParams& p = params.common;
  const bool whole = p.splits == 1;
  float sum = row.sum, shrink = 1.0f, base = row.most;
  if (whole && row.sees && p.sink != nullptr) {
    const float sink = p.sink[query.head];
    base = fmaxf(row.most, sink);
    shrink = power_of_two((row.most - base) * kLog2E);
    sum = sum * shrink + power_of_two((sink - base) * kLog2E);
  }
  const float factor = row.sees ? shrink * p.keep_scale / sum : 0.0f;
  const int32_t t = lane_index() & 3, dim = p.value.dim, i = place.sequence.q_start + query.i;
  const int64_t part = static_cast<int64_t>(place.split) * p.batch * p.queries * p.heads;
  const int64_t at = (static_cast<int64_t>(place.batch) * p.queries + i) * p.heads + query.head + (whole ? 0 : part);
  float* sums = whole ? params.log_sum_exp : params.partial_log_sum_exp + part;
  if (query.exists && t == 0) {
    sums[sum_index(p, place.batch, query.head, i)] = row.sees ? base + logf(sum) : -infinity();
  }
  if (kChunks && params.output_in_chunks != 0) {
    return store_chunks(params.output, at, dim, query.exists, o, e, factor, row.sees);
  }
  if (!query.exists) return;
  void* output = whole ? params.output : params.partial_output;
#pragma unroll
  for (int d = 0; d < kTiles; d++) {
    const float x = row.sees ? o[d][2 * e] * factor : 0.0f;
    const float y = row.sees ? o[d][2 * e + 1] * factor : 0.0f;
    store_pair(output, whole && params.output_is_bf16 != 0, at, dim, 8 * d + 2 * t, x, y);
  }
}

}  // namespace cuda
}  // namespace tfxf
