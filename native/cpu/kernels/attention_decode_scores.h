// SPDX-License-Identifier: Apache-2.0
/**
 * Dot products of a few queries with many keys, as decoding needs them: each row of keys is read once, from where it
 * lies, for up to kDotRows queries. The sums of kDotKeys keys are vectors in registers, and are folded together there.
 */
#pragma once

#include "cpu/kernels/attention_tile.h"
#include "cpu/simd/gemm.h"

namespace tfxf {
namespace TFXF_ISA {

/** Queries and keys at a time: as many sums as registers hold. */
constexpr int kDotRows = 4;
constexpr int kDotKeys = kNear;

/** Whether queries are kept and multiplied in bfloat16: words of two, the unused half of an odd row's last one 0. */
TFXF_INLINE bool decodes_bfloat16(const AttentionArgs& args) {
#if defined(__AVX512BF16__)
  return args.query.dtype == DType::kBFloat16 && args.key.dtype == DType::kBFloat16;
#else
  (void)args;
  return false;
#endif
}

/** Copies rows as they are, `stride` floats apart; what is past the last column becomes 0. */
template <typename Address>
static inline void copy_bfloat16_rows(const Address& address, int64_t rows, int64_t columns,
                                      float* out, int64_t stride) {
  for (int64_t r = 0; r < rows; r++) {
    memset(out + r * stride, 0, static_cast<size_t>(stride) * 4);
    memcpy(out + r * stride, address(r), static_cast<size_t>(columns) * 2);
  }
}

/**
 * The products of kDotKeys keys with kRows queries, as sum_near leaves them, into near[row][at]. A query fills `width`
 * floats, `stride` apart; load_key(key, d) is what lies beside floats d …, and multiply(key, query, sum) adds to lanes.
 */
template <int kRows, typename LoadKey, typename Multiply>
TFXF_INLINE void dot_keys(const float* queries, int64_t stride, int64_t width,
                          const char* const (&keys)[kDotKeys], const LoadKey& load_key,
                          const Multiply& multiply, Vf (&near)[kRows][kWidth / kNear], int at) {
  Vf sum[kRows][kDotKeys] = {};
  for (int64_t d = 0; d < width; d += kWidth) {
    Vf key[kDotKeys];
#pragma GCC unroll 4
    for (int x = 0; x < kDotKeys; x++) key[x] = load_key(keys[x], d);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
      const Vf query = load(queries + r * stride + d);
#pragma GCC unroll 4
      for (int x = 0; x < kDotKeys; x++) sum[r][x] = multiply(key[x], query, sum[r][x]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; r++) near[r][at] = sum_near(sum[r]);
}

#if defined(__AVX512BF16__)
/** Two bfloat16 elements to a lane, from word `word` of a row of `columns` on. */
TFXF_INLINE Vf load_pairs(const char* row, int64_t word, int64_t columns) {
  // The padding of an odd row may hold anything, NaN too: only its elements are loaded.
  const int64_t left = smaller(columns - 2 * word, 2 * kWidth);
  const __mmask32 used = static_cast<__mmask32>((uint64_t{1} << left) - 1);
  return reinterpret_cast<Vf>(_mm512_maskz_loadu_epi16(used, row + word * 4));
}

TFXF_INLINE Vf multiply_pairs(Vf a, Vf b, Vf sum) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
#endif

/**
 * scores[r * kTileColumns + j] for kRows queries and `count` keys; address(j) is key j. The scores from `count` on up to
 * whole vectors are those of the last key.
 */
template <int kRows, typename Address>
static inline void dot_rows(const AttentionArgs& args, const float* queries, int64_t stride,
                            const Address& address, int64_t count, float* scores) {
  const int64_t columns = args.shape.key_dim;
  Vf near[kRows][kWidth / kNear];
  for (int64_t j0 = 0; j0 < count; j0 += kWidth) {
    for (int x0 = 0; x0 < kWidth; x0 += kDotKeys) {
      const char* keys[kDotKeys];
      for (int x = 0; x < kDotKeys; x++) keys[x] = address(smaller(j0 + x0 + x, count - 1));
#if defined(__AVX512BF16__)
      if (decodes_bfloat16(args)) {
        const auto pairs = [&](const char* key, int64_t d) { return load_pairs(key, d, columns); };
        dot_keys<kRows>(queries, stride, divide_up(columns, 2), keys, pairs, multiply_pairs, near,
                        x0 / kDotKeys);
        continue;
      }
#endif
      const DType dtype = args.key.dtype;
      const auto floats = [&](const char* key, int64_t d) { return load_columns(key, dtype, d, columns); };
      dot_keys<kRows>(queries, stride, columns, keys, floats, fma, near, x0 / kDotKeys);
    }
    for (int r = 0; r < kRows; r++) store(scores + r * kTileColumns + j0, sum_far(near[r]));
  }
}

/** The same for any number of queries. */
template <typename Address>
static inline void dot_products(const AttentionArgs& args, const float* queries, int64_t stride,
                                int64_t rows, const Address& address, int64_t count,
                                float* scores) {
  int64_t r = 0;
  for (; r + kDotRows <= rows; r += kDotRows) {
    dot_rows<kDotRows>(args, queries + r * stride, stride, address, count,
                       scores + r * kTileColumns);
  }
  queries += r * stride;
  scores += r * kTileColumns;
  switch (rows - r) {
    case 1: dot_rows<1>(args, queries, stride, address, count, scores); break;
    case 2: dot_rows<2>(args, queries, stride, address, count, scores); break;
    case 3: dot_rows<3>(args, queries, stride, address, count, scores); break;
    default: break;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
