// SPDX-License-Identifier: Apache-2.0
/**
 * The part of a bias that belongs to a tile, as floats in the tile's own order: what is added to the scores, and
 * -Infinity where the bias hides (a float bias of -Infinity, or a false bool).
 */
#pragma once

#include "cpu/kernels/attention_tile.h"

namespace tfxf {
namespace TFXF_ISA {

constexpr float kHidden = -__builtin_inff();

TFXF_INLINE float bias_value(const BiasView& bias, int64_t element) {
  if (bias.kind == BiasKind::kFloat) return static_cast<const float*>(bias.data)[element];
  return static_cast<const uint8_t*>(bias.data)[element] != 0 ? 0.0f : kHidden;
}

/** Elements of a bias: (r, lane) of a tile is number start + r * row_step + lane * lane_step. */
struct BiasTile {
  int64_t start, row_step, lane_step;
};

/** Fills out[r * stride + lane] for r < rows and lane < lanes, and the lanes up to whole vectors with anything. */
static inline void copy_bias(const BiasView& bias, const BiasTile& tile, int64_t rows, int64_t lanes,
                      float* out, int64_t stride) {
  const bool is_float = bias.kind == BiasKind::kFloat;
  const float* values = static_cast<const float*>(bias.data);
  if (is_float && tile.lane_step == 1) {
    const auto address = [&](int64_t r) {
      return reinterpret_cast<const char*>(values + tile.start + r * tile.row_step);
    };
    copy_rows(address, DType::kFloat32, rows, lanes, out, stride);
  } else if (is_float && tile.row_step == 1) {
    const auto address = [&](int64_t lane) {
      return reinterpret_cast<const char*>(values + tile.start + lane * tile.lane_step);
    };
    copy_rows_transposed(address, DType::kFloat32, lanes, rows, out, stride);
  } else {
    for (int64_t r = 0; r < rows; r++) {
      const int64_t row = tile.start + r * tile.row_step;
      for (int64_t x = 0; x < whole_vectors(lanes); x++) {
        out[r * stride + x] = x < lanes ? bias_value(bias, row + x * tile.lane_step) : 0.0f;
      }
    }
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
