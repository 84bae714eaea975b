// SPDX-License-Identifier: Apache-2.0
/**
 * The five products of a tile, limited to the band of it that the mask lets through.
 *
 * Queries that see the same keys, and keys that the same queries see, are an interval each, so near a diagonal a
 * product is made of strips: of a whole or half panel of keys with the queries that see any of them, and of as many rows
 * as gemm takes at a time with only those terms of their sums that may be other than 0. A tile without hidden
 * pairs is one strip.
 */
#pragma once

#include "cpu/kernels/attention_backward_call.h"
#include "cpu/simd/gemm.h"

namespace tfxf {
namespace TFXF_ISA {

struct Tile {
  const Mask* mask;
  const MaskBlock* block;
  int64_t b, head;
  int64_t i0, rows;  // queries of the block
  int64_t j0, keys;  // keys of the block
  const uint32_t* key_rows;  // rows of the key tensor, [kChunkKeys]

  /** The row of the query tensor that holds query r of the tile. */
  int64_t row(int64_t r) const { return block->q_start + i0 + r; }
};

/** The rows of the tile that see any of the chunk's keys begin … end - 1. */
TFXF_INLINE Interval seeing_rows(const Tile& tile, int64_t begin, int64_t end) {
  const Interval rows = visible_queries(*tile.mask, *tile.block, tile.j0 + begin, tile.j0 + end);
  const Interval inside = {larger(rows.begin - tile.i0, 0), smaller(rows.end - tile.i0, tile.rows)};
  return inside.end > inside.begin ? inside : Interval{0, 0};
}

/** The chunk's keys that any of the rows begin … end - 1 of the tile sees. */
TFXF_INLINE Interval seen_keys(const Tile& tile, int64_t begin, int64_t end) {
  const Interval keys = visible_keys(*tile.mask, *tile.block, tile.i0 + begin, tile.i0 + end);
  const Interval inside = {larger(keys.begin - tile.j0, 0), smaller(keys.end - tile.j0, tile.keys)};
  return inside.end > inside.begin ? inside : Interval{0, 0};
}

TFXF_INLINE bool same(const Interval& a, const Interval& b) {
  return a.begin == b.begin && a.end == b.end;
}

/** out = rows · panels, out[kTileQueries][kPitch]; depth is the columns of `rows`, which lie `width` apart. */
static inline void multiply_panels(const Tile& tile, const float* rows, int64_t width, int64_t depth,
                            const float* panels, float* out) {
  constexpr int64_t kHalf = kTileColumns / 2;
  const auto strip = [&](int64_t j, int64_t lanes, const Interval& seeing) {
    const float* panel = panels + j / kTileColumns * kTileColumns * depth + j % kTileColumns;
    gemm<false, false>(seeing.end - seeing.begin, lanes / kWidth, depth, rows + seeing.begin * width,
                       width, panel, kTileColumns, out + seeing.begin * kPitch + j, kPitch);
  };
  for (int64_t j = 0; j < tile.keys; j += kTileColumns) {
    const int64_t middle = smaller(j + kHalf, tile.keys), end = smaller(j + kTileColumns, tile.keys);
    const Interval low = seeing_rows(tile, j, middle);
    const Interval high = middle < end ? seeing_rows(tile, middle, end) : Interval{0, 0};
    if (same(low, high)) {
      strip(j, whole_vectors(end - j), low);
    } else {
      strip(j, whole_vectors(middle - j), low);
      strip(j + kHalf, whole_vectors(end - middle), high);
    }
  }
}

/** Calls strip(begin, end, interval) for the longest runs of groups of kTileRows of 0 … count - 1 with one interval. */
template <typename IntervalOf, typename Strip>
TFXF_INLINE void for_strips(int64_t count, const IntervalOf& interval_of, const Strip& strip) {
  const auto group = [&](int64_t at) { return interval_of(at, smaller(at + kTileRows, count)); };
  for (int64_t begin = 0; begin < count;) {
    const Interval interval = group(begin);
    int64_t end = begin + kTileRows;
    while (end < count && same(group(end), interval)) end += kTileRows;
    strip(begin, smaller(end, count), interval);
    begin = end;
  }
}

/** gradient[keys][width] += tileᵀ · rows: dV of P and dO, dK of dS and Q. */
static inline void add_to_keys(const Tile& tile, const float* values, const float* rows, int64_t width,
                        float* gradient) {
  for_strips(
      tile.keys, [&](int64_t begin, int64_t end) { return seeing_rows(tile, begin, end); },
      [&](int64_t begin, int64_t end, const Interval& seeing) {
        gemm<true, true>(end - begin, width / kWidth, seeing.end - seeing.begin,
                         values + seeing.begin * kPitch + begin, kPitch, rows + seeing.begin * width,
                         width, gradient + begin * width, width);
      });
}

/** gradient[rows][width] = tile · keys: dQ of dS and K. */
static inline void multiply_keys(const Tile& tile, const float* values, const float* keys, int64_t width,
                          float* gradient) {
  for_strips(
      tile.rows, [&](int64_t begin, int64_t end) { return seen_keys(tile, begin, end); },
      [&](int64_t begin, int64_t end, const Interval& seen) {
        gemm<false, false>(end - begin, width / kWidth, seen.end - seen.begin,
                           values + begin * kPitch + seen.begin, kPitch, keys + seen.begin * width,
                           width, gradient + begin * width, width);
      });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
