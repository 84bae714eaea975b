// SPDX-License-Identifier: Apache-2.0
/**
 * Small matrix products in cache: C = A B, or C += A B, in float32.
 *
 *   A: rows x depth, read one element at a time and broadcast: a[r * lda + k], or, transposed, a[k * lda + r]
 *   B: depth x (vectors * kWidth), rows ldb apart; float32, or bfloat16, which is widened as it is read
 *   C: rows x (vectors * kWidth), rows ldc apart
 *
 * A tile of kTileRows x kTileVectors accumulators stays in registers over the whole depth, as in K. Goto, R. van de
 * Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008). There is no packing here: callers keep B
 * (depth x kTileColumns floats) small enough for the first-level cache, where it serves all rows of A.
 * Each element of C is one sum over k in order, whatever the tile that it lies in.
 */
#pragma once

#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

/** AVX-512 has 32 vector registers: 24 accumulators, a row of B and a broadcast; the others 16. */
constexpr int kTileRows = 6;
constexpr int kTileVectors = kWidth == 16 ? 4 : 2;
constexpr int kTileColumns = kTileVectors * kWidth;

template <bool kTransposed>
TFXF_INLINE int64_t a_index(int64_t lda, int64_t r, int64_t k) {
  return kTransposed ? k * lda + r : r * lda + k;
}

TFXF_INLINE Vf load_widened(const float* p) { return load(p); }
TFXF_INLINE Vf load_widened(const uint16_t* p) { return load_bfloat16(p); }

template <int kRows, int kVectors, bool kTransposed, bool kAdd, typename B>
static __attribute__((noinline)) void gemm_tile(const float* a, int64_t lda, const B* b,
                                                int64_t ldb, float* c, int64_t ldc, int64_t depth) {
  Vf sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) sum[r][v] = kAdd ? load(c + r * ldc + v * kWidth) : Vf{};
  }
  for (int64_t k = 0; k < depth; k++) {
    Vf row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) row[v] = load_widened(b + k * ldb + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const Vf factor = splat(a[a_index<kTransposed>(lda, r, k)]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) sum[r][v] = fma(factor, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) store(c + r * ldc + v * kWidth, sum[r][v]);
  }
}

template <int kVectors, bool kTransposed, bool kAdd, typename B>
static void gemm_columns(int64_t rows, int64_t depth, const float* a, int64_t lda, const B* b,
                         int64_t ldb, float* c, int64_t ldc) {
  int64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) {
    gemm_tile<kTileRows, kVectors, kTransposed, kAdd>(a + a_index<kTransposed>(lda, r, 0), lda, b,
                                                      ldb, c + r * ldc, ldc, depth);
  }
  const float* rest = a + a_index<kTransposed>(lda, r, 0);
  float* out = c + r * ldc;
  switch (rows - r) {
    case 1: gemm_tile<1, kVectors, kTransposed, kAdd>(rest, lda, b, ldb, out, ldc, depth); break;
    case 2: gemm_tile<2, kVectors, kTransposed, kAdd>(rest, lda, b, ldb, out, ldc, depth); break;
    case 3: gemm_tile<3, kVectors, kTransposed, kAdd>(rest, lda, b, ldb, out, ldc, depth); break;
    case 4: gemm_tile<4, kVectors, kTransposed, kAdd>(rest, lda, b, ldb, out, ldc, depth); break;
    case 5: gemm_tile<5, kVectors, kTransposed, kAdd>(rest, lda, b, ldb, out, ldc, depth); break;
    default: break;
  }
}

/** C (+)= A B; `vectors` counts vectors of kWidth columns. */
template <bool kTransposed, bool kAdd, typename B>
static void gemm(int64_t rows, int64_t vectors, int64_t depth, const float* a, int64_t lda,
                 const B* b, int64_t ldb, float* c, int64_t ldc) {
  int64_t v = 0;
  for (; v + kTileVectors <= vectors; v += kTileVectors) {
    gemm_columns<kTileVectors, kTransposed, kAdd>(rows, depth, a, lda, b + v * kWidth, ldb,
                                                  c + v * kWidth, ldc);
  }
  b += v * kWidth;
  c += v * kWidth;
  switch (vectors - v) {
    case 1: gemm_columns<1, kTransposed, kAdd>(rows, depth, a, lda, b, ldb, c, ldc); break;
#if defined(__AVX512F__)
    case 2: gemm_columns<2, kTransposed, kAdd>(rows, depth, a, lda, b, ldb, c, ldc); break;
    case 3: gemm_columns<3, kTransposed, kAdd>(rows, depth, a, lda, b, ldb, c, ldc); break;
#endif
    default: break;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
