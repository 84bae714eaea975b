// SPDX-License-Identifier: Apache-2.0
/** The end of a panel: the sink, logSumExp, and the output divided by the sum, turned to rows and rounded once. */
#pragma once

#include "cpu/kernels/attention_softmax.h"

namespace tfxf {
namespace TFXF_ISA {

// In double, as they are taken once for a query; by way of base 2, whose functions are the same in every C library.
TFXF_INLINE double log_of(double x) { return __builtin_log2(x) * 0.69314718055994530942; }
TFXF_INLINE double exp_of(double x) { return __builtin_exp2(x * 1.44269504088896340736); }

/** What the softmax of one query comes to. */
struct RowEnd {
  /** The output is its accumulated rows, in which weights were times `unit`, times this. */
  float scale;
  float log_sum_exp;
};

/** From the maximum and the sum of weights over the visible keys, each times `unit`; `sink` may be null. */
TFXF_INLINE RowEnd end_of_row(float max, float unit_sum, float unit, const float* sink) {
  const float sum = unit_sum / unit;
  if (max == kHidden && sum == 0.0f) return {0.0f, kHidden};  // a sum of NaN is of a visible NaN
  if (sink == nullptr) {
    return {1.0f / sum / unit, static_cast<float>(max + log_of(sum))};
  }
  const float highest = *sink > max ? *sink : max;
  const float shrink = static_cast<float>(exp_of(static_cast<double>(max) - highest));
  const float extra = static_cast<float>(exp_of(static_cast<double>(*sink) - highest));
  const float total = sum * shrink + extra;
  return {shrink / total / unit, static_cast<float>(highest + log_of(total))};
}

/** Stores `count` values at column d of a row of `columns`; an odd bfloat16 row ends in +0. */
TFXF_INLINE void store_columns(char* row, DType dtype, int64_t d, int64_t columns, Vf v) {
  const int64_t left = columns - d;
  if (dtype == DType::kFloat32) {
    float* p = reinterpret_cast<float*>(row) + d;
    if (left >= kWidth) {
      store(p, v);
    } else {
      store_first(p, v, left);
    }
    return;
  }
  uint16_t* p = reinterpret_cast<uint16_t*>(row) + d;
  if (left >= kWidth) {
    store_bfloat16(p, v);
  } else {
    store_first_bfloat16(p, v, left);
  }
  if (columns % 2 != 0 && left <= kWidth) p[left] = 0;
}

/**
 * Writes a panel. `output` has a row for each column, lane = query; row(lane) is where the query's result begins and
 * scale[lane] what it is multiplied by.
 */
template <typename Row>
TFXF_INLINE void store_panel(const float* output, const LaneLayout& layout, int64_t columns, int64_t count,
                             const float* scale, DType dtype, const Row& row) {
  for (int64_t lane = 0; lane < count; lane += kWidth) {
    const Vf factor = load(scale + lane);
    for (int64_t d0 = 0; d0 < columns; d0 += kWidth) {
      Vf rows[kWidth];
      for (int d = 0; d < kWidth; d++) {
        const bool inside = d0 + d < columns;
        rows[d] = inside ? load(output + layout.at(d0 + d, lane / kWidth)) * factor : Vf{};
      }
      transpose(rows);
      const int64_t lanes = smaller(kWidth, count - lane);
      for (int64_t r = 0; r < lanes; r++) store_columns(row(lane + r), dtype, d0, columns, rows[r]);
    }
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
