// SPDX-License-Identifier: Apache-2.0
/**
 * Storage types and bfloat16 arithmetic on bits, as src/bf16/rounding.ts has it.
 *
 * A bfloat16 tensor is stored as uint16, two to an int32 word along the last axis (element 2i in
 * the low half). A row of an odd number of columns ends in one element of padding, so the stride
 * of a row in elements is rounded up to an even number: see row_elements().
 */
#pragma once

#include <cstdint>
#include <cstring>

namespace tfxf {

enum class DType : int32_t { kFloat32 = 0, kBFloat16 = 1 };

/** Elements from one row to the next in a tensor of this storage whose last axis is `columns`. */
static inline int64_t row_elements(DType dtype, int64_t columns) {
  return dtype == DType::kBFloat16 ? (columns + 1) / 2 * 2 : columns;
}

static inline int64_t element_bytes(DType dtype) { return dtype == DType::kBFloat16 ? 2 : 4; }

static inline float widen_bfloat16(uint16_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

/** Round to nearest even; NaN becomes quiet, values above the largest bfloat16 become infinite. */
static inline uint16_t round_bfloat16(float value) {
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((word >> 16) | 0x0040u);
  return static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
}

}  // namespace tfxf
