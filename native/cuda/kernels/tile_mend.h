// SPDX-License-Identifier: Apache-2.0
/**
 * NaN and infinities in rows that some of a tile's queries do not see. A tensor core multiplies the zero weight of a
 * hidden row by what is in it, and 0 * NaN is NaN: it would spread to queries that never saw the row.
 *
 * Tiles in which anything is hidden are looked through before accumulate(). If a value is not finite, its products with
 * weights other than zero are added one by one, and then it is made zero in the tile. That is slow, and rare.
 */
#pragma once

#include "cuda/kernels/tile_load.h"

namespace tfxf {
namespace cuda {

/** Whether a word holds something not finite. */
TFXF_DEVICE bool is_odd(float, uint32_t word) { return (word & 0x7f800000u) == 0x7f800000u; }
TFXF_DEVICE bool is_odd(BFloat16, uint32_t word) {
  return (word & 0x7f80u) == 0x7f80u || (word & 0x7f800000u) == 0x7f800000u;
}

/** Whether any value that this thread looks at, of all that the block's threads look at together, is not finite. */
template <typename T, int kRows, int kDim, int kThreads>
TFXF_DEVICE bool finds_odd(const unsigned char* tile) {
  constexpr int kWords = kRows * kDim * static_cast<int>(sizeof(T)) / 16;
  bool odd = false;
  for (int at = thread_index(); at < kWords; at += kThreads) {
    const Words4 words = reinterpret_cast<const Words4*>(tile)[at];
    for (int n = 0; n < 4; n++) odd = odd || is_odd(T(), words.word[n]);
  }
  return odd;
}

/** w[n][c], of a place that is known only at run time: registers have no addresses. */
template <int kN>
TFXF_DEVICE float weight_at(const float (&w)[kN][4], int n, int c) {
  float found = 0.0f;
#pragma unroll
  for (int at = 0; at < kN; at++) {
#pragma unroll
    for (int e = 0; e < 4; e++) found = at == n && e == c ? w[at][e] : found;
  }
  return found;
}

/**
 * o += w times those values of the tile that are not finite, where w is not zero. A tile of 16 rows has the weights
 * weight(key, half) of its rows g (half 0) and g + 8, in the lane of accumulators of column `key`; value(key, column).
 */
template <int kKeys, int kTiles, typename Weight, typename Value>
TFXF_DEVICE void add_odd(float (&o)[kTiles][4], const Weight& weight, const Value& value) {
  const int lane = lane_index(), t = lane & 3;
#pragma unroll 1
  for (int key = 0; key < kKeys; key++) {
    const int owner = (lane & ~3) | ((key & 7) >> 1);
    const float upper = shuffle(weight(key, 0), owner);
    const float lower = shuffle(weight(key, 1), owner);
#pragma unroll
    for (int d = 0; d < kTiles; d++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const float x = value(key, 8 * d + 2 * t + c);
        if (!is_finite(x)) {
          if (upper != 0.0f) o[d][c] += upper * x;
          if (lower != 0.0f) o[d][2 + c] += lower * x;
        }
      }
    }
  }
}

/** Zeroes what is not finite. */
template <typename T, int kRows, int kDim, int kThreads>
TFXF_DEVICE void clear_odd(unsigned char* tile) {
  T* values = reinterpret_cast<T*>(tile);
  for (int at = thread_index(); at < kRows * kDim; at += kThreads) {
    if (!is_finite(as_float(values[at]))) values[at] = T();
  }
}

/**
 * To be called by all threads of a block before accumulate(), where something in the tile is hidden from somebody.
 * Afterwards the tile is finite.
 */
template <typename T, int kDim, int kThreads, int kM, int kN>
TFXF_DEVICE void mend_tile(float (&o)[kM][kDim / 8][4], const float (&w)[kM][kN][4], unsigned char* tile) {
  if (!sync_or(finds_odd<T, 8 * kN, kDim, kThreads>(tile))) return;
#pragma unroll
  for (int m = 0; m < kM; m++) {
    add_odd<8 * kN>(
        o[m], [&](int key, int half) { return weight_at(w[m], key >> 3, 2 * half + (key & 1)); },
        [&](int key, int column) { return as_float(tile_element<T, kDim>(tile, key, column)); });
  }
  sync_threads();
  clear_odd<T, 8 * kN, kDim, kThreads>(tile);
  sync_threads();
}

}  // namespace cuda
}  // namespace tfxf
