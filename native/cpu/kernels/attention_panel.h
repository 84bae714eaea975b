// SPDX-License-Identifier: Apache-2.0
/**
 * A panel of up to kTileColumns queries against a stretch of keys: which vectors of queries see which keys.
 *
 * Queries are lanes, keys are rows. Near a diagonal the first keys are seen by all lanes and the last by few, so the
 * stretch is cut into segments of keys that the same vectors of lanes see; nothing outside a segment is computed.
 */
#pragma once

#include "cpu/kernels/attention_tile.h"
#include "cpu/simd/gemm.h"

namespace tfxf {
namespace TFXF_ISA {

struct Panel {
  int64_t first;    // row in the block of lane 0
  int64_t count;    // lanes in use
  int64_t vectors;  // vectors in use
};

/** Where rows of vectors of lanes lie. */
struct LaneLayout {
  int64_t row, vector;  // floats from one to the next

  TFXF_ALWAYS_INLINE int64_t at(int64_t r, int64_t v) const { return r * row + v * vector; }
};
/** Row after row, as gemm.h has it. */
constexpr LaneLayout kRowLayout = {kTileColumns, kWidth};

/** Keys begin … end - 1 and the vectors v0 … v1 - 1 of lanes, some of which see some of them. */
struct Segment {
  int64_t begin, end;
  int64_t v0, v1;
  /** Whether some of these lanes do not see some of these keys. */
  bool mixed;
};

/** Each side of a window moves over at most kTileVectors vector borders. */
constexpr int kMaxSegments = 2 * kTileVectors + 1;

/** Cuts the keys j0 … j1 - 1, each of which is seen by some lane of the panel. Returns the number of segments. */
static inline int segments_of(const Mask& mask, const MaskBlock& block, const Panel& panel, int64_t j0,
                       int64_t j1, Segment* segments) {
  const int64_t first_offset = panel.first + block.shift + mask.window_right;
  const int64_t last_offset = panel.first + block.shift - mask.window_left;
  int count = 0;
  for (int64_t j = j0; j < j1;) {
    // Key j is seen by the lanes j - first_offset … j - last_offset.
    const int64_t v0 = larger(j - first_offset, 0) / kWidth;
    const int64_t v1 = smaller((j - last_offset) / kWidth + 1, panel.vectors);
    int64_t end = smaller(j1, first_offset + (v0 + 1) * kWidth);
    if (v1 < panel.vectors) end = smaller(end, last_offset + v1 * kWidth);
    const int64_t lane_end = smaller(panel.count, v1 * kWidth);
    const bool mixed = !all_visible(mask, block, panel.first + v0 * kWidth, panel.first + lane_end, j, end);
    segments[count++] = {j, end, v0, v1, mixed};
    j = end;
  }
  return count;
}

/** All ones in the lanes of vector v that see key j. */
TFXF_INLINE Vi visible_lanes(const Mask& mask, const MaskBlock& block, const Panel& panel, int64_t j,
                             int64_t v) {
  const int64_t first = j - block.shift - mask.window_right - panel.first - v * kWidth;
  const int64_t last = j - block.shift + mask.window_left - panel.first - v * kWidth;
  const Vi lanes = lane_numbers();
  const int32_t from = static_cast<int32_t>(smaller(larger(first, 0), kWidth));
  const int32_t to = static_cast<int32_t>(larger(smaller(last, kWidth), -1));
  return reinterpret_cast<Vi>((lanes >= from) & (lanes <= to));
}

}  // namespace TFXF_ISA
}  // namespace tfxf
