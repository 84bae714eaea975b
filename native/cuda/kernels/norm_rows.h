// SPDX-License-Identifier: Apache-2.0
/**
 * Rows as the norm kernels read and write them: 8 columns (a chunk) at a time, from float32 or bfloat16, in 16-byte
 * accesses where everything is aligned, one by one elsewhere. And sums over the kLanes threads that share a row: by
 * shuffles up to a warp, through shared memory for a whole block. All orders are fixed.
 */
#pragma once

#include <math.h>

#include "cuda/device.h"
#include "cuda/params.h"
#include "cuda/shapes.h"

namespace tfxf {
namespace cuda {

/** A tensor of rows; null data reads as `missing`. */
struct RowsIn {
  const void* data;
  bool is_bf16;
  int64_t stride;  // elements
};
TFXF_DEVICE RowsIn rows_in(const void* data, int32_t is_bf16, int32_t columns) {
  return {data, is_bf16 != 0, is_bf16 != 0 ? (columns + 1) / 2 * 2 : columns};
}

TFXF_DEVICE float load_one(const RowsIn& rows, int64_t row, int32_t column) {
  const int64_t at = row * rows.stride + column;
  return rows.is_bf16 ? widen(static_cast<const uint16_t*>(rows.data)[at]) : static_cast<const float*>(rows.data)[at];
}

/** Columns column … column + 7; those at or beyond `columns` are 0. */
TFXF_DEVICE void load_chunk(float (&x)[8], const RowsIn& rows, int64_t row, int32_t column, int32_t columns, bool whole) {
  if (whole && column < columns) {
    const int64_t at = row * rows.stride + column;
    if (rows.is_bf16) {
      const Words4 words = *reinterpret_cast<const Words4*>(static_cast<const uint16_t*>(rows.data) + at);
#pragma unroll
      for (int n = 0; n < 4; n++) {
        x[2 * n] = widen(words.word[n] & 0xffffu);
        x[2 * n + 1] = float_of(words.word[n] & 0xffff0000u);
      }
    } else {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const Words4 words = *reinterpret_cast<const Words4*>(static_cast<const float*>(rows.data) + at + 4 * half);
#pragma unroll
        for (int n = 0; n < 4; n++) x[4 * half + n] = float_of(words.word[n]);
      }
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 8; n++) x[n] = column + n < columns ? load_one(rows, row, column + n) : 0.0f;
}

/** The same of a float32 tensor of this many columns. */
TFXF_DEVICE void store_floats(float* data, int64_t row, int32_t column, int32_t columns, const float (&x)[8], bool whole) {
  float* to = data + row * columns + column;
  if (whole && column < columns) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      Words4 words;
#pragma unroll
      for (int n = 0; n < 4; n++) words.word[n] = bits_of(x[4 * half + n]);
      *reinterpret_cast<Words4*>(to + 4 * half) = words;
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 8; n++) {
    if (column + n < columns) to[n] = x[n];
  }
}

/** Into bfloat16 rows; the padding of odd ones becomes zero. */
TFXF_DEVICE void store_bf16(void* data, int64_t row, int32_t column, int32_t columns, const float (&x)[8], bool whole) {
  const int32_t words_in_row = (columns + 1) / 2;
  uint32_t* to = static_cast<uint32_t*>(data) + row * words_in_row + column / 2;
  Words4 words;
#pragma unroll
  for (int n = 0; n < 4; n++) {
    words.word[n] = pack_bf16(x[2 * n], column + 2 * n + 1 < columns ? x[2 * n + 1] : 0.0f);
  }
  if (whole && column < columns) {
    *reinterpret_cast<Words4*>(to) = words;
    return;
  }
#pragma unroll
  for (int n = 0; n < 4; n++) {
    if (column + 2 * n < columns) to[n] = words.word[n];
  }
}

/** Sums of kCount numbers over the kLanes threads of a row; each gets them. All threads of the block must call. */
template <int kLanes, int kCount>
TFXF_DEVICE void sum_lanes(float (&x)[kCount]) {
#pragma unroll
  for (int n = 0; n < kCount; n++) {
#pragma unroll
    for (int mask = (kLanes < 32 ? kLanes : 32) / 2; mask > 0; mask /= 2) x[n] += shuffle_xor(x[n], mask);
  }
  if (kLanes <= 32) return;
  float* const parts = reinterpret_cast<float*>(shared_memory());
  sync_threads();  // the sums before these have been read
  if (lane_index() == 0) {
#pragma unroll
    for (int n = 0; n < kCount; n++) parts[n * kNormWarps + warp_index()] = x[n];
  }
  sync_threads();
#pragma unroll
  for (int n = 0; n < kCount; n++) {
    x[n] = 0.0f;
#pragma unroll
    for (int w = 0; w < kNormWarps; w++) x[n] += parts[n * kNormWarps + w];
  }
}

}  // namespace cuda
}  // namespace tfxf
