// SPDX-License-Identifier: Apache-2.0
/**
 * The mask of common/mask.h in 32 bits, for kernels: which keys a tile of queries sees, and whether all of them.
 *
 *     visible(i, j) = 0 <= j < k_length, low <= j - i <= high         low, high = shift - left, shift + right
 *
 * Sides are cut to ±(2^30 - 1), beyond which no distance goes, so that no sum here overflows.
 */
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define TFXF_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define TFXF_HOST_DEVICE inline
#endif

namespace tfxf {
namespace cuda {

struct TileMask {
  int32_t q_length, k_length;
  int32_t low, high;
};

struct Range {
  int32_t begin, end;  // empty where end <= begin
};

constexpr int32_t kFarthest = 0x3fffffff;

TFXF_HOST_DEVICE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
TFXF_HOST_DEVICE int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

TFXF_HOST_DEVICE TileMask tile_mask(int32_t q_length, int32_t k_length, int32_t left, int32_t right, bool bottom_right) {
  const int32_t shift = bottom_right ? k_length - q_length : 0;
  const int64_t high = static_cast<int64_t>(shift) + right;
  TileMask mask = {q_length, k_length, larger(shift - left, -kFarthest), 0};
  mask.high = high > kFarthest ? kFarthest : static_cast<int32_t>(high);
  return mask;
}

TFXF_HOST_DEVICE bool visible(const TileMask& mask, int32_t i, int32_t j) {
  const int32_t distance = j - i;
  return j < mask.k_length && distance >= mask.low && distance <= mask.high;
}

/** The keys that any of the queries i0 <= i < i1 sees; i0 < i1. */
TFXF_HOST_DEVICE Range visible_keys(const TileMask& mask, int32_t i0, int32_t i1) {
  return {larger(i0 + mask.low, 0), smaller(i1 + mask.high, mask.k_length)};
}

/** The queries that see any of the keys j0 <= j < j1; j0 < j1. */
TFXF_HOST_DEVICE Range visible_queries(const TileMask& mask, int32_t j0, int32_t j1) {
  return {larger(j0 - mask.high, 0), smaller(j1 - mask.low, mask.q_length)};
}

/** Whether all queries i0 <= i < i1 see all keys j0 <= j < j1. */
TFXF_HOST_DEVICE bool all_visible(const TileMask& mask, int32_t i0, int32_t i1, int32_t j0, int32_t j1) {
  return j1 <= mask.k_length && i1 <= mask.q_length && j0 - (i1 - 1) >= mask.low && (j1 - 1) - i0 <= mask.high;
}

/** Part `n` of `parts` of a range, cut at multiples of `step` from its aligned begin; all parts together are the range. */
TFXF_HOST_DEVICE Range part_of(const Range& range, int32_t step, int32_t n, int32_t parts) {
  const int32_t first = range.begin / step;
  const int32_t steps = range.end > range.begin ? (range.end + step - 1) / step - first : 0;
  const int32_t each = (steps + parts - 1) / parts;
  const int32_t begin = smaller(n * each, steps), end = smaller((n + 1) * each, steps);
  return {larger((first + begin) * step, range.begin), smaller((first + end) * step, range.end)};
}

/** The first place in a list that never falls whose number is above `value`; `count` where there is none. */
TFXF_HOST_DEVICE int32_t first_above(const int32_t* list, int32_t count, int32_t value) {
  int32_t begin = 0, end = count;
  while (begin < end) {
    const int32_t middle = (begin + end) / 2;
    if (list[middle] > value) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return begin;
}

/** Where chunk `chunk` of 16 bytes of a row lies, so that 8 rows of one chunk are in 8 different sets of banks. */
TFXF_HOST_DEVICE int32_t swizzled(int32_t row, int32_t chunk, int32_t chunks_in_row) {
  return row * chunks_in_row + (chunk ^ (row & 7));
}

}  // namespace cuda
}  // namespace tfxf
