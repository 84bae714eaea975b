// SPDX-License-Identifier: Apache-2.0
/**
 * Attention dropout without a stored mask: src/spec/dropout.ts in C++, the same bits.
 *
 *     kept iff mix(row_key(seed, b, h, i) ^ (j * 0x165667B1 + 1)) >= threshold      (mod 2^32)
 *
 * i is the row of the query tensor, j the row of the key tensor. The templates take uint32_t or a
 * vector of them.
 */
#pragma once

#include <cstdint>

#include "common/anywhere.h"

namespace tfxf {

struct Dropout {
  /** Draws below this are dropped; 0: no dropout. */
  uint32_t threshold = 0;
  /** 1 / (1 - p). */
  float keep_scale = 1.0f;
  uint32_t seed = 0;
};

template <typename U>
TFXF_ANYWHERE static inline __attribute__((always_inline)) U dropout_mix(U x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

/** Key of head h of batch item b; the rows of it follow by dropout_row_key. */
TFXF_ANYWHERE static inline uint32_t dropout_head_key(uint32_t seed, uint32_t b, uint32_t h) {
  const uint32_t batch = dropout_mix(dropout_mix(seed) ^ (b * 0x85ebca6bu + 1u));
  return dropout_mix(batch ^ (h * 0xc2b2ae35u + 1u));
}

template <typename U>
TFXF_ANYWHERE static inline __attribute__((always_inline)) U dropout_row_key(uint32_t head_key, U i) {
  return dropout_mix(head_key ^ (i * 0x27d4eb2fu + 1u));
}

/** What the draw of key j in a row is; the weight is kept iff it is at least the threshold. */
template <typename U, typename J>
TFXF_ANYWHERE static inline __attribute__((always_inline)) U dropout_draw(U row_key, J j) {
  return dropout_mix(row_key ^ (j * 0x165667b1u + 1u));
}

}  // namespace tfxf
