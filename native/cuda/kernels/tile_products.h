// SPDX-License-Identifier: Apache-2.0
/**
 * The two products that attention is made of, for one warp that owns kM stripes of 16 rows:
 *
 *     scores       s[row][n] += sum_k a[row][k] * b[n][k]      a and b in shared memory, both with k along the row
 *     accumulate   o[row][d] += sum_n w[row][n] * b[n][d]      w in the accumulators' layout, b in shared memory
 *
 * bfloat16: m16n8k16 with float32 sums; w is rounded to bfloat16. The accumulators of two neighbouring 8-column tiles
 * are the A fragment of 16 keys as they stand.
 *
 * float32: three tf32 products. x = high + low, each a tf32, has 22 bits, and high*high + high*low + low*high leaves an
 * error of 2^-22. Tensor cores cut their sums off instead of rounding them, so accumulate() sums a tile from zero and
 * adds that to o in float32: thousands of keys do not drift. A k of 8 keys is taken in the order 0 2 4 6 1 3 5 7, for
 * which the accumulators are the A fragment as they stand.
 *
 * Fragments are described in cuda/device.h. Source: FlashAttention-2 (Dao, 2023) for the scheme, the PTX ISA for the
 * layouts, Ootomo and Yokota (2022) for tf32 with correction.
 */
#pragma once

#include "cuda/kernels/tile_load.h"

namespace tfxf {
namespace cuda {

/** A float32 as two tf32; what is not finite is all in the first. */
struct SplitWord {
  uint32_t high, low;
};
TFXF_DEVICE SplitWord split_word(float x) {
  const uint32_t high = round_tf32(x);
  const float rest = difference(x, float_of(high));
  return {high, is_finite(rest) ? round_tf32(rest) : 0u};
}

struct SplitA {
  uint32_t high[4], low[4];
};
TFXF_DEVICE void split_a(SplitA& a, int n, float x) {
  const SplitWord word = split_word(x);
  a.high[n] = word.high;
  a.low[n] = word.low;
}
TFXF_DEVICE void multiply_split(float (&c)[4], const SplitA& a, float b0, float b1) {
  const SplitWord x = split_word(b0), y = split_word(b1);
  multiply_tf32(c, a.low, x.high, y.high);
  multiply_tf32(c, a.high, x.low, y.low);
  multiply_tf32(c, a.high, x.high, y.high);
}

/** Chunks `chunk` and `chunk + 1` of 16 rows from `row0` on: the A fragment of one k step. */
template <int kChunks>
TFXF_DEVICE void load_a(uint32_t (&a)[4], const unsigned char* tile, int row0, int chunk) {
  const int lane = lane_index();
  load_matrices(a, tile + 16 * swizzled(row0 + (lane & 15), chunk + (lane >> 4), kChunks));
}
/** The same of 16 rows as the B fragments of two 8-column tiles: b[0..1] and b[2..3]. */
template <int kChunks>
TFXF_DEVICE void load_b(uint32_t (&b)[4], const unsigned char* tile, int row0, int chunk) {
  const int lane = lane_index();
  const int row = row0 + (lane & 7) + ((lane >> 4) << 3);
  load_matrices(b, tile + 16 * swizzled(row, chunk + ((lane >> 3) & 1), kChunks));
}

/** s[m][n] of rows row0 + 16 m … of `a` and rows 8 n … of `b`, added to what s holds. */
template <int kDim, int kM, int kN>
TFXF_DEVICE void scores(BFloat16, float (&s)[kM][kN][4], const unsigned char* a, int row0, const unsigned char* b) {
  constexpr int kChunks = kDim / 8;
#pragma unroll
  for (int k = 0; k < kDim / 16; k++) {
    uint32_t left[kM][4];
#pragma unroll
    for (int m = 0; m < kM; m++) load_a<kChunks>(left[m], a, row0 + 16 * m, 2 * k);
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
      uint32_t right[4];
      load_b<kChunks>(right, b, 8 * n, 2 * k);
#pragma unroll
      for (int m = 0; m < kM; m++) {
        multiply_bf16(s[m][n], left[m], right[0], right[1]);
        multiply_bf16(s[m][n + 1], left[m], right[2], right[3]);
      }
    }
  }
}

template <int kDim, int kM, int kN>
TFXF_DEVICE void scores(float, float (&s)[kM][kN][4], const unsigned char* a, int row0, const unsigned char* b) {
  constexpr int kChunks = kDim / 4;
#pragma unroll 1
  for (int k = 0; k < kDim / 8; k++) {
    SplitA left[kM];
#pragma unroll
    for (int m = 0; m < kM; m++) {
      uint32_t words[4];
      load_a<kChunks>(words, a, row0 + 16 * m, 2 * k);
#pragma unroll
      for (int n = 0; n < 4; n++) split_a(left[m], n, float_of(words[n]));
    }
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
      uint32_t right[4];
      load_b<kChunks>(right, b, 8 * n, 2 * k);
#pragma unroll
      for (int m = 0; m < kM; m++) {
        multiply_split(s[m][n], left[m], float_of(right[0]), float_of(right[1]));
        multiply_split(s[m][n + 1], left[m], float_of(right[2]), float_of(right[3]));
      }
    }
  }
}

/** o[m][d] += w[m] times the 8 kN rows of `b`. */
template <int kDim, int kM, int kN>
TFXF_DEVICE void accumulate(BFloat16, float (&o)[kM][kDim / 8][4], const float (&w)[kM][kN][4], const unsigned char* b) {
  constexpr int kChunks = kDim / 8;
  const int lane = lane_index();
#pragma unroll
  for (int k = 0; k < kN / 2; k++) {
    uint32_t left[kM][4];
#pragma unroll
    for (int m = 0; m < kM; m++) {
      left[m][0] = pack_bf16(w[m][2 * k][0], w[m][2 * k][1]);
      left[m][1] = pack_bf16(w[m][2 * k][2], w[m][2 * k][3]);
      left[m][2] = pack_bf16(w[m][2 * k + 1][0], w[m][2 * k + 1][1]);
      left[m][3] = pack_bf16(w[m][2 * k + 1][2], w[m][2 * k + 1][3]);
    }
#pragma unroll
    for (int d = 0; d < kDim / 8; d += 2) {
      uint32_t right[4];
      load_matrices_transposed(right, b + 16 * swizzled(16 * k + (lane & 15), d + (lane >> 4), kChunks));
#pragma unroll
      for (int m = 0; m < kM; m++) {
        multiply_bf16(o[m][d], left[m], right[0], right[1]);
        multiply_bf16(o[m][d + 1], left[m], right[2], right[3]);
      }
    }
  }
}

template <int kDim, int kM, int kN>
TFXF_DEVICE void accumulate(float, float (&o)[kM][kDim / 8][4], const float (&w)[kM][kN][4], const unsigned char* b) {
  constexpr int kChunks = kDim / 4;
  const int g = lane_index() >> 2, t = lane_index() & 3;
  SplitA left[kM][kN];
#pragma unroll
  for (int m = 0; m < kM; m++) {
#pragma unroll
    for (int n = 0; n < kN; n++) {
      split_a(left[m][n], 0, w[m][n][0]);
      split_a(left[m][n], 1, w[m][n][2]);
      split_a(left[m][n], 2, w[m][n][1]);
      split_a(left[m][n], 3, w[m][n][3]);
    }
  }
#pragma unroll
  for (int d = 0; d < kDim / 8; d++) {
    float sums[kM][4] = {};
#pragma unroll
    for (int n = 0; n < kN; n++) {
      const int row = 8 * n + 2 * t, chunk = 2 * d + (g >> 2), word = g & 3;
      const float b0 = reinterpret_cast<const float*>(b + 16 * swizzled(row, chunk, kChunks))[word];
      const float b1 = reinterpret_cast<const float*>(b + 16 * swizzled(row + 1, chunk, kChunks))[word];
#pragma unroll
      for (int m = 0; m < kM; m++) multiply_split(sums[m], left[m][n], b0, b1);
    }
#pragma unroll
    for (int m = 0; m < kM; m++) {
#pragma unroll
      for (int n = 0; n < 4; n++) o[m][d][n] += sums[m][n];
    }
  }
}

}  // namespace cuda
}  // namespace tfxf
