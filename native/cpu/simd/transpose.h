// SPDX-License-Identifier: Apache-2.0
/** kWidth x kWidth transposes and row sums in registers, by exchanging off-diagonal halves at each scale. */
#pragma once

#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

// Exchanges, between two rows that are S apart, the S-wide parts off the diagonal.
#if defined(__AVX512F__)
#define TFXF_LOW(S, i) (((i) & (S)) ? 16 + (i) - (S) : (i))
#define TFXF_HIGH(S, i) (((i) & (S)) ? 16 + (i) : (i) + (S))
#define TFXF_INDICES(M, S)                                                                   \
  M(S, 0), M(S, 1), M(S, 2), M(S, 3), M(S, 4), M(S, 5), M(S, 6), M(S, 7), M(S, 8), M(S, 9), \
      M(S, 10), M(S, 11), M(S, 12), M(S, 13), M(S, 14), M(S, 15)
#elif defined(__AVX2__)
#define TFXF_LOW(S, i) (((i) & (S)) ? 8 + (i) - (S) : (i))
#define TFXF_HIGH(S, i) (((i) & (S)) ? 8 + (i) : (i) + (S))
#define TFXF_INDICES(M, S) \
  M(S, 0), M(S, 1), M(S, 2), M(S, 3), M(S, 4), M(S, 5), M(S, 6), M(S, 7)
#else
#define TFXF_LOW(S, i) (((i) & (S)) ? 4 + (i) - (S) : (i))
#define TFXF_HIGH(S, i) (((i) & (S)) ? 4 + (i) : (i) + (S))
#define TFXF_INDICES(M, S) M(S, 0), M(S, 1), M(S, 2), M(S, 3)
#endif

#define TFXF_EXCHANGE(S)                                                              \
  for (int i = 0; i < kWidth; i++) {                                                  \
    if ((i & (S)) != 0) continue;                                                     \
    const Vf a = rows[i], b = rows[i + (S)];                                          \
    rows[i] = __builtin_shufflevector(a, b, TFXF_INDICES(TFXF_LOW, S));               \
    rows[i + (S)] = __builtin_shufflevector(a, b, TFXF_INDICES(TFXF_HIGH, S));        \
  }

/** rows[i][j] becomes rows[j][i]. */
TFXF_INLINE void transpose(Vf (&rows)[kWidth]) {
#if defined(__AVX512F__)
#pragma GCC unroll 16
  TFXF_EXCHANGE(8)
#endif
#if defined(__AVX2__)
#pragma GCC unroll 16
  TFXF_EXCHANGE(4)
#endif
#pragma GCC unroll 16
  TFXF_EXCHANGE(2)
#pragma GCC unroll 16
  TFXF_EXCHANGE(1)
}

// Vectors i and i + R become one: sums over lanes S apart, of the first where lane & S is 0, of the second elsewhere.
#define TFXF_FOLD(S, R)                                                               \
  for (int i = 0; i < (R); i++) {                                                     \
    const Vf a = rows[i], b = rows[i + (R)];                                          \
    rows[i] = __builtin_shufflevector(a, b, TFXF_INDICES(TFXF_LOW, S)) +              \
              __builtin_shufflevector(a, b, TFXF_INDICES(TFXF_HIGH, S));              \
  }

/** So many vectors are summed at a time: lane i then has the part of vector i % kNear in kNear neighbouring lanes. */
constexpr int kNear = kWidth == 16 ? 4 : 2;

TFXF_INLINE Vf sum_near(Vf (&rows)[kNear]) {
#if defined(__AVX512F__)
  TFXF_FOLD(2, 2)
#endif
  TFXF_FOLD(1, 1)
  return rows[0];
}

/** From kWidth / kNear results of sum_near: lane i has the sum of all lanes of vector i. */
TFXF_INLINE Vf sum_far(Vf (&rows)[kWidth / kNear]) {
#if defined(__AVX512F__)
  TFXF_FOLD(8, 2)
  TFXF_FOLD(4, 1)
#elif defined(__AVX2__)
  TFXF_FOLD(4, 2)
  TFXF_FOLD(2, 1)
#else
  TFXF_FOLD(2, 1)
#endif
  return rows[0];
}

#undef TFXF_FOLD
#undef TFXF_EXCHANGE
#undef TFXF_INDICES
#undef TFXF_HIGH
#undef TFXF_LOW

}  // namespace TFXF_ISA
}  // namespace tfxf
