// SPDX-License-Identifier: Apache-2.0
/**
 * What the owners of attention's kernels of warpgroups do with tiles of slices and with accumulators of 64 rows. Products
 * are begun here, each function a group of them, and waited for by the caller.
 */
#pragma once

#include "cuda/device_hopper.h"
#include "cuda/kernels/slices.h"
#include "cuda/kernels/tile_mend.h"

namespace tfxf {
namespace cuda {

/** d = a b^T over kDim columns: the rows of this warpgroup in tile a of kRows rows, and all 8 kTiles rows of tile b. */
template <int kDim, int kRows, int kTiles>
TFXF_DEVICE void begin_scores(float (&d)[kTiles][4], const unsigned char* a, const unsigned char* b) {
  const uint64_t left = matrix_descriptor(a + 8192 * (warp_index() >> 2), 16, 1024), right = matrix_descriptor(b, 16, 1024);
  group_products_begin();
#pragma unroll
  for (int k = 0; k < kDim; k += 16) {
    const int slice = 128 * (k / 64), within = 2 * (k % 64);
    const uint64_t x = left + step_of(slice * kRows + within), y = right + step_of(slice * 8 * kTiles + within);
    if (k == 0) {
      multiply_group<false>(d, x, y);
    } else {
      multiply_group<true>(d, x, y);
    }
  }
  group_products_commit();
}

/** o += w b, with the packed weights of 64 rows for the 16 kSteps rows of tile b. */
template <int kSteps, int kTiles>
TFXF_DEVICE void begin_sums(float (&o)[kTiles][4], const uint32_t (&w)[kSteps][4], const unsigned char* b) {
  const uint64_t right = matrix_descriptor(b, 128 * 16 * kSteps, 1024);
  group_products_begin();
#pragma unroll
  for (int k = 0; k < kSteps; k++) multiply_group(o, w[k], right + step_of(2048 * k));
  group_products_commit();
}

/** To bfloat16: the accumulators of two tiles of 8 columns are the A fragment of 16. */
template <int kSteps>
TFXF_DEVICE void pack(uint32_t (&w)[kSteps][4], const float (&x)[2 * kSteps][4]) {
#pragma unroll
  for (int k = 0; k < kSteps; k++) {
#pragma unroll
    for (int n = 0; n < 4; n++) {
      const float(&from)[4] = x[2 * k + (n >> 1)];
      w[k][n] = pack_bf16(from[2 * (n & 1)], from[2 * (n & 1) + 1]);
    }
  }
}

/** In row e (g, or g + 8), what is not in columns low … high becomes `value`. */
template <int kTiles>
TFXF_DEVICE void keep_columns(float (&x)[kTiles][4], int e, int32_t low, int32_t high, float value) {
  const int32_t column = 2 * (lane_index() & 3);
#pragma unroll
  for (int t = 0; t < kTiles; t++) {
#pragma unroll
    for (int c = 0; c < 2; c++) {
      if (8 * t + c < low - column || 8 * t + c > high - column) x[t][2 * e + c] = value;
    }
  }
}

template <int kTiles>
TFXF_DEVICE void clear(float (&x)[kTiles][4]) {
#pragma unroll
  for (int n = 0; n < kTiles; n++) {
#pragma unroll
    for (int c = 0; c < 4; c++) x[n][c] = 0.0f;
  }
}

/**
 * By all kThreads owners, at barrier `id`, before any of them begins o += w tile and when none multiplies by the tile: its
 * values that are not finite are added to what sees them, and become zero (tile_mend.h).
 */
template <int kDim, int kThreads, int kSteps, int kTiles>
TFXF_DEVICE void mend_slices(int id, float (&o)[kTiles][4], const uint32_t (&w)[kSteps][4], unsigned char* tile) {
  constexpr int kKeys = 16 * kSteps;
  if (!group_sync_or(id, kThreads, finds_odd<BFloat16, kKeys, kDim, kThreads>(tile))) return;
  add_odd<kKeys>(
      o, [&](int key, int half) { return packed_weight(w, key, half); },
      [&](int key, int column) { return as_float(slice_element<kKeys>(tile, key, column)); });
  group_sync(id, kThreads);
  clear_odd<BFloat16, kKeys, kDim, kThreads>(tile);
  publish_shared();
  group_sync(id, kThreads);
}

}  // namespace cuda
}  // namespace tfxf
