// SPDX-License-Identifier: Apache-2.0
/**
 * What the norms of both directions share: walking along rows in vectors, and sums over rows.
 *
 * Short rows are taken four at a time, so that the latency of a sum over lanes is paid once for
 * four; long ones alone, with four sums along the row. Which of the two it is depends on the number
 * of columns only, and a row that is left over is summed in the same order as one of four: a row
 * gives the same bits wherever it stands.
 */
#pragma once

#include "cpu/kernels/norm_vectors.h"

namespace tfxf {
namespace TFXF_ISA {

/** Rows of at most this many columns are taken four at a time. */
constexpr int64_t kShortColumns = 2048;
constexpr int kGroupRows = 4;
/** Sums have two levels: float32 over this many columns, then over those sums. */
constexpr int64_t kTileColumns = 4096;

/** One number for each of up to four rows. */
typedef float V4 __attribute__((vector_size(16)));

TFXF_INLINE V4 sqrt4(V4 v) {
#if defined(__x86_64__)
  return _mm_sqrt_ps(v);
#else
  V4 roots;
  for (int k = 0; k < 4; k++) roots[k] = __builtin_sqrtf(v[k]);
  return roots;
#endif
}

/** Adds the 128-bit parts of a vector. */
TFXF_INLINE V4 fold(Vf v) {
#if defined(__AVX512F__)
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX2__)
  return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
#else
  return v;
#endif
}

/** In each 128-bit part: a0 + a2, b0 + b2, a1 + a3, b1 + b3. */
TFXF_INLINE Vf add_pairs(Vf a, Vf b) {
#if defined(__AVX512F__)
  return _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b);
#else
  return __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

/** In each 128-bit part: a0 + a2, a1 + a3, b0 + b2, b1 + b3. */
TFXF_INLINE Vf add_halves(Vf a, Vf b) {
#if defined(__AVX512F__)
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)) + _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
#elif defined(__AVX2__)
  const __m256d x = _mm256_castps_pd(a), y = _mm256_castps_pd(b);
  return _mm256_castpd_ps(_mm256_unpacklo_pd(x, y)) + _mm256_castpd_ps(_mm256_unpackhi_pd(x, y));
#else
  return __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
#endif
}

/** The sum over lanes of each row; the order does not depend on how many rows there are. */
template <int kRows>
TFXF_INLINE V4 sum_lanes_of(const Vf (&rows)[kRows]) {
  const Vf zero = {};
  const Vf left = add_pairs(rows[0], kRows > 1 ? rows[1 % kRows] : zero);
  const Vf right = kRows > 2 ? add_pairs(rows[2 % kRows], rows[3 % kRows]) : zero;
  return fold(add_halves(left, right));
}

/** body(i, u, extent) for the vectors of begin <= i < end; u < kUnroll changes from one to the next. */
template <int kUnroll, typename Body>
TFXF_INLINE void each_vector(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kUnroll * kWidth <= end; i += kUnroll * kWidth) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; u++) body(i + u * kWidth, u, Whole{});
  }
  if (kUnroll > 1) {
    for (; i + kWidth <= end; i += kWidth) body(i, 0, Whole{});
  }
  if (i < end) body(i, 0, Part{end - i});
}

/** Sums along each row of the values that terms(i, extent, values) puts into values[sum][row]. */
template <int kSums, int kRows, int kUnroll, typename Terms>
TFXF_INLINE void row_sums(int64_t columns, V4 (&sums)[kSums], const Terms& terms) {
  Vf outer[kSums][kRows] = {};
  for (int64_t begin = 0; begin < columns; begin += kTileColumns) {
    const int64_t end = begin + kTileColumns < columns ? begin + kTileColumns : columns;
    Vf inner[kUnroll][kSums][kRows] = {};
    const auto add = [&](int64_t i, int u, auto extent) TFXF_ALWAYS_INLINE {
      Vf values[kSums][kRows];
      terms(i, extent, values);
#pragma GCC unroll 4
      for (int s = 0; s < kSums; s++) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; r++) inner[u][s][r] += keep(values[s][r], extent);
      }
    };
    each_vector<kUnroll>(begin, end, add);
#pragma GCC unroll 4
    for (int s = 0; s < kSums; s++) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
        for (int u = 0; u < kUnroll; u++) outer[s][r] += inner[u][s][r];
      }
    }
  }
#pragma GCC unroll 4
  for (int s = 0; s < kSums; s++) sums[s] = sum_lanes_of<kRows>(outer[s]);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
