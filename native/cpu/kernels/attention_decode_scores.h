// SPDX-License-Identifier: Apache-2.0
/**
 * Dot products of a few queries with many keys, as decoding needs them: kDotKeys keys at a time are read from where they
 * lie, with all of their heads, which is the order of memory, and each head serves up to kDotRows queries at once. The sums
 * of kDotKeys keys are vectors in registers, and are folded together there.
 */
#pragma once

#include "cpu/kernels/attention_tile.h"
#include "cpu/simd/gemm.h"

namespace tfxf {
namespace TFXF_ISA {

/** Keys in a block. */
constexpr int64_t kDecodeKeys = 64;

/** Queries and keys at a time: as many sums as registers hold. */
constexpr int kDotRows = 4;
constexpr int kDotKeys = kNear;

/**
 * Asks for a row that is needed soon, into the first cache. Processors with tiles find rows by themselves, and are a tenth
 * slower if they are asked.
 */
TFXF_INLINE void fetch_row(const char* row, int64_t bytes) {
#if defined(__AMX_BF16__)
  (void)row;
  (void)bytes;
#else
  prefetch_bytes<3>(row, bytes);
#endif
}

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

/** Vectors of one query for kWidth keys, as sum_near leaves them; floats. */
constexpr int64_t kNearFloats = kWidth / kNear * kWidth;

/**
 * The products of kDotKeys keys with kRows queries, as sum_near leaves them, into near[row * kNearFloats]. A query fills
 * `width` floats, `stride` apart; load_key(key, d) is what lies beside floats d …, and multiply(key, query, sum) adds to
 * lanes.
 */
template <int kRows, typename LoadKey, typename Multiply>
TFXF_INLINE void dot_keys(const float* queries, int64_t stride, int64_t width,
                          const char* const (&keys)[kDotKeys], const LoadKey& load_key,
                          const Multiply& multiply, float* near) {
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
  for (int r = 0; r < kRows; r++) store(near + r * kNearFloats, sum_near(sum[r]));
}

#if defined(__AVX512BF16__)
TFXF_INLINE Vf multiply_pairs(Vf a, Vf b, Vf sum) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
#endif

/** The queries of all heads, `rows` of them for each of `groups` key/value heads, and where their scores go. */
struct DecodeQueries {
  const float* data;
  int64_t stride, width;  // in floats
  int64_t rows, groups;
  float* near;    // [groups * rows][kNearFloats]
  float* scores;  // [groups * rows][kDecodeKeys]
};

/** The products of kDotKeys keys with the queries of one key/value head. */
template <typename LoadKey, typename Multiply>
TFXF_INLINE void dot_group(const DecodeQueries& q, int64_t first, const char* const (&keys)[kDotKeys],
                           const LoadKey& load_key, const Multiply& multiply, float* near) {
  const float* queries = q.data + first * q.stride;
  int64_t r = 0;
  for (; r + kDotRows <= q.rows; r += kDotRows) {
    dot_keys<kDotRows>(queries + r * q.stride, q.stride, q.width, keys, load_key, multiply,
                       near + (first + r) * kNearFloats);
  }
  queries += r * q.stride;
  near += (first + r) * kNearFloats;
  switch (q.rows - r) {
    case 1: dot_keys<1>(queries, q.stride, q.width, keys, load_key, multiply, near); break;
    case 2: dot_keys<2>(queries, q.stride, q.width, keys, load_key, multiply, near); break;
    case 3: dot_keys<3>(queries, q.stride, q.width, keys, load_key, multiply, near); break;
    default: break;
  }
}

/** Where keys lie: `address(j)` is head 0 of key j, and heads lie `head_bytes` apart. */
template <typename Address>
struct DecodeKeyRows {
  const Address& address;
  int64_t count, head_bytes, row_bytes;

  /** kDotKeys keys from key j on; past the end, the last one. */
  void addresses_from(int64_t j, const char* (&keys)[kDotKeys]) const {
    for (int x = 0; x < kDotKeys; x++) keys[x] = address(smaller(j + x, count - 1));
  }
};

/**
 * q.scores[row * kDecodeKeys + j] for all keys. The scores past the end, up to whole vectors, are those of the last key.
 * While a head of some keys is multiplied, the same head of the next keys is fetched.
 */
template <typename Address, typename LoadKey, typename Multiply>
static inline void dot_all(const DecodeQueries& q, const DecodeKeyRows<Address>& rows, const LoadKey& load_key,
                           const Multiply& multiply) {
  const char *keys[kDotKeys], *next[kDotKeys];
  for (int64_t j0 = 0; j0 < rows.count; j0 += kWidth) {
    for (int x0 = 0; x0 < kWidth; x0 += kDotKeys) {
      rows.addresses_from(j0 + x0, keys);
      rows.addresses_from(j0 + x0 + kDotKeys, next);
      for (int64_t g = 0; g < q.groups; g++) {
        for (int x = 0; x < kDotKeys; x++) fetch_row(next[x], rows.row_bytes);
        dot_group(q, g * q.rows, keys, load_key, multiply, q.near + x0 / kDotKeys * kWidth);
        for (int x = 0; x < kDotKeys; x++) {
          keys[x] += rows.head_bytes;
          next[x] += rows.head_bytes;
        }
      }
    }
    for (int64_t row = 0; row < q.groups * q.rows; row++) {
      Vf near[kWidth / kNear];
      for (int n = 0; n < kWidth / kNear; n++) near[n] = load(q.near + row * kNearFloats + n * kWidth);
      store(q.scores + row * kDecodeKeys + j0, sum_far(near));
    }
  }
}

/** The same, by the type of the keys, and without a look at the end of a row where it is one of whole vectors. */
template <typename Address>
static inline void dot_products(const AttentionArgs& args, const DecodeQueries& q,
                                const Address& address, int64_t count) {
  const int64_t columns = args.shape.key_dim;
  const DType dtype = args.key.dtype;
  const int64_t bytes = element_bytes(dtype);
  const DecodeKeyRows<Address> rows = {address, count, args.key.head_stride * bytes, columns * bytes};
#if defined(__AVX512BF16__)
  if (decodes_bfloat16(args)) {
    const auto multiply = [](Vf a, Vf b, Vf sum) { return multiply_pairs(a, b, sum); };
    const auto words = [](const char* key, int64_t d) { return load(reinterpret_cast<const float*>(key) + d); };
    const auto pairs = [&](const char* key, int64_t d) { return float_of(load_pairs(key, d, columns)); };
    if (columns % (2 * kWidth) == 0) return dot_all(q, rows, words, multiply);
    return dot_all(q, rows, pairs, multiply);
  }
#endif
  const auto multiply = [](Vf a, Vf b, Vf sum) { return fma(a, b, sum); };
  if (dtype == DType::kFloat32 && columns % kWidth == 0) {
    const auto floats = [](const char* key, int64_t d) { return load(reinterpret_cast<const float*>(key) + d); };
    return dot_all(q, rows, floats, multiply);
  }
  const auto any = [&](const char* key, int64_t d) { return load_columns(key, dtype, d, columns); };
  dot_all(q, rows, any, multiply);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
