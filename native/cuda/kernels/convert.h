// SPDX-License-Identifier: Apache-2.0
/**
 * Rows of float32 to bfloat16 words and back, one word of two values a thread. Rounding is that of common/dtype.h to the
 * last bit, the payload of NaN included, which the conversion instruction does not keep.
 */
#pragma once

#include "cuda/device.h"
#include "cuda/params.h"
#include "cuda/shapes.h"

namespace tfxf {
namespace cuda {

TFXF_DEVICE uint32_t rounded_bits(float value) {
  const uint32_t word = bits_of(value);
  if ((word & 0x7fffffffu) > 0x7f800000u) return (word >> 16) | 0x0040u;
  return (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
}

TFXF_DEVICE void convert_to_bf16(const ConvertParams& p) {
  const int32_t words = (p.columns + 1) / 2;
  const int64_t at = block_index() * ConvertShape::kThreads + thread_index();
  if (at >= p.rows * words) return;
  const int64_t row = at / words;
  const int32_t column = 2 * static_cast<int32_t>(at % words);
  const float* x = static_cast<const float*>(p.x) + row * p.columns + column;
  const uint32_t high = column + 1 < p.columns ? rounded_bits(x[1]) : 0u;
  static_cast<uint32_t*>(p.y)[at] = rounded_bits(x[0]) | high << 16;
}

TFXF_DEVICE void convert_to_float(const ConvertParams& p) {
  const int32_t words = (p.columns + 1) / 2;
  const int64_t at = block_index() * ConvertShape::kThreads + thread_index();
  if (at >= p.rows * words) return;
  const int64_t row = at / words;
  const int32_t column = 2 * static_cast<int32_t>(at % words);
  const uint32_t word = static_cast<const uint32_t*>(p.x)[at];
  float* y = static_cast<float*>(p.y) + row * p.columns + column;
  y[0] = widen(word & 0xffffu);
  if (column + 1 < p.columns) y[1] = float_of(word & 0xffff0000u);
}

}  // namespace cuda
}  // namespace tfxf
