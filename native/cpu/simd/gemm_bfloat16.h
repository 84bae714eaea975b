// SPDX-License-Identifier: Apache-2.0
/**
 * C = A B as in gemm.h, with A and B in bfloat16 and C in float32: one instruction multiplies and adds two columns.
 *
 *   A: rows x depth words of two bfloat16 (columns 2k, 2k+1), broadcast word by word: a[r * lda + k]
 *   B: depth x (vectors * kWidth) words, rows ldb apart: (2k, 2k+1) of the lane's column
 *
 * Products of two bfloat16 are exact in float32, so this equals float32 arithmetic on the widened values, at twice
 * the rate; subnormal inputs count as zero, as the instruction has it.
 */
#pragma once

#if defined(__AVX512BF16__)

#include "cpu/simd/gemm.h"

namespace tfxf {
namespace TFXF_ISA {

template <int kRows, int kVectors>
static __attribute__((noinline)) void gemm_bfloat16_tile(const uint32_t* a, int64_t lda,
                                                         const uint32_t* b, int64_t ldb, float* c,
                                                         int64_t ldc, int64_t depth) {
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) sum[r][v] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < depth; k++) {
    __m512bh row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) {
      row[v] = reinterpret_cast<__m512bh>(load_words(b + k * ldb + v * kWidth));
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const __m512bh factor = reinterpret_cast<__m512bh>(splat_word(a[r * lda + k]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], factor, row[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) store(c + r * ldc + v * kWidth, sum[r][v]);
  }
}

template <int kVectors>
static inline void gemm_bfloat16_columns(int64_t rows, int64_t depth, const uint32_t* a, int64_t lda,
                                  const uint32_t* b, int64_t ldb, float* c, int64_t ldc) {
  int64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) {
    gemm_bfloat16_tile<kTileRows, kVectors>(a + r * lda, lda, b, ldb, c + r * ldc, ldc, depth);
  }
  a += r * lda;
  c += r * ldc;
  switch (rows - r) {
    case 1: gemm_bfloat16_tile<1, kVectors>(a, lda, b, ldb, c, ldc, depth); break;
    case 2: gemm_bfloat16_tile<2, kVectors>(a, lda, b, ldb, c, ldc, depth); break;
    case 3: gemm_bfloat16_tile<3, kVectors>(a, lda, b, ldb, c, ldc, depth); break;
    case 4: gemm_bfloat16_tile<4, kVectors>(a, lda, b, ldb, c, ldc, depth); break;
    case 5: gemm_bfloat16_tile<5, kVectors>(a, lda, b, ldb, c, ldc, depth); break;
    default: break;
  }
}

/** C = A B for at most kTileVectors vectors. */
static inline void gemm_bfloat16(int64_t rows, int64_t vectors, int64_t depth, const uint32_t* a,
                          int64_t lda, const uint32_t* b, int64_t ldb, float* c, int64_t ldc) {
  switch (vectors) {
    case 1: gemm_bfloat16_columns<1>(rows, depth, a, lda, b, ldb, c, ldc); break;
    case 2: gemm_bfloat16_columns<2>(rows, depth, a, lda, b, ldb, c, ldc); break;
    case 3: gemm_bfloat16_columns<3>(rows, depth, a, lda, b, ldb, c, ldc); break;
    case 4: gemm_bfloat16_columns<4>(rows, depth, a, lda, b, ldb, c, ldc); break;
    default: break;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
