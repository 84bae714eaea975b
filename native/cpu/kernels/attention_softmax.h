// SPDX-License-Identifier: Apache-2.0
/**
 * Online softmax of a panel (M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax", 2018): a running
 * maximum and sum for each lane, both float32. Lanes are queries, so nothing crosses lanes.
 */
#pragma once

#include "cpu/kernels/attention_scores.h"

namespace tfxf {
namespace TFXF_ISA {

/**
 * Weights on tiles, and their sums, are less by this factor, a power of two, so that sums of large values do not overflow. It is
 * below exp(-8), as a score may exceed what is taken off it by 8 (attention_forward_tiles.h).
 */
constexpr float kTileWeightUnit = 1.0f / 4096.0f;

/** Of one panel; max is -Infinity until a key has been seen. */
struct SoftmaxState {
  float* max;  // [kTileColumns]
  float* sum;  // [kTileColumns]
};

/** 0 where m is -Infinity, so that exp(t - m) of hidden keys is 0 and not NaN. */
TFXF_INLINE Vf finite_max(Vf m) { return m == kHidden ? Vf{} : m; }

/** The largest of rows begin … end - 1 of vector v, each times `factor`, and m. */
TFXF_INLINE Vf column_max(const float* scores, int64_t begin, int64_t end, int64_t v, float factor,
                          Vf m) {
  const float* column = scores + v * kWidth;
  Vf other = m;
  int64_t j = begin;
  for (; j + 1 < end; j += 2) {
    m = max_keep_nan(load(column + j * kTileColumns) * factor, m);
    other = max_keep_nan(load(column + (j + 1) * kTileColumns) * factor, other);
  }
  if (j < end) m = max_keep_nan(load(column + j * kTileColumns) * factor, m);
  return max_keep_nan(other, m);
}

/** Multiplies vector v of `rows` rows. */
TFXF_INLINE void scale_columns(float* values, const LaneLayout& layout, int64_t rows, int64_t v, Vf factor) {
  for (int64_t r = 0; r < rows; r++) {
    float* p = values + layout.at(r, v);
    store(p, load(p) * factor);
  }
}

/**
 * Takes new maxima into the state: what was summed before them, and the `rows` rows of `output`, shrinks by
 * exp(old - new). Lanes whose maximum stays, which is most of them after a few keys, cost nothing.
 */
TFXF_INLINE void raise_max(const SoftmaxState& state, int64_t v, Vf raised, float* output,
                           const LaneLayout& layout, int64_t rows) {
  const Vf old = load(state.max + v * kWidth);
  if (!any_lane(reinterpret_cast<Vi>(raised != old))) return;
  store(state.max + v * kWidth, raised);
  const Vf factor = exp(old - finite_max(raised));
  store(state.sum + v * kWidth, load(state.sum + v * kWidth) * factor);
  scale_columns(output, layout, rows, v, factor);
}

/** Scores become weights exp(factor * t - max), in place, and are added to the sums; factor * t is rounded as max was. */
TFXF_INLINE void exponentiate(float* scores, const Segment& segment, float factor,
                              const SoftmaxState& state) {
  for (int64_t v = segment.v0; v < segment.v1; v++) {
    const Vf lowest = Vf{} - finite_max(load(state.max + v * kWidth));
    const Vf f = splat(factor);
    float* column = scores + v * kWidth;
    Vf sums[4] = {};
    int64_t j = segment.begin;
    for (; j + 3 < segment.end; j += 4) {
#pragma GCC unroll 4
      for (int u = 0; u < 4; u++) {
        float* p = column + (j + u) * kTileColumns;
        const Vf weight = exp(rounded(load(p) * f) + lowest);
        sums[u] += weight;
        store(p, weight);
      }
    }
    for (; j < segment.end; j++) {
      float* p = column + j * kTileColumns;
      const Vf weight = exp(rounded(load(p) * f) + lowest);
      sums[0] += weight;
      store(p, weight);
    }
    const Vf total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    store(state.sum + v * kWidth, load(state.sum + v * kWidth) + total);
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
