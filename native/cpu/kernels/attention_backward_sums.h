// SPDX-License-Identifier: Apache-2.0
/** Sums of rows of floats. */
#pragma once

#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

/** out[d] += row[d] * factor for d < columns. */
TFXF_INLINE void add_row(float* out, const float* row, int64_t columns, float factor) {
  int64_t d = 0;
  for (; d + kWidth <= columns; d += kWidth) store(out + d, load(out + d) + load(row + d) * factor);
  const int64_t left = columns - d;
  if (left > 0) store_first(out + d, load_first(out + d, left) + load(row + d) * factor, left);
}

/** The sum of `columns` floats; those up to the next whole vector are 0. */
TFXF_INLINE float row_sum(const float* row, int64_t columns) {
  Vf sum = {};
  for (int64_t x = 0; x < columns; x += kWidth) sum += load(row + x);
  return sum_lanes(sum);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
