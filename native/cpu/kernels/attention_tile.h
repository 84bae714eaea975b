// SPDX-License-Identifier: Apache-2.0
/**
 * Bringing rows of query, key and value into the small float32 tiles that the products read.
 *
 * A tile is contiguous: rows of a [B, M, heads, D] tensor lie heads * D apart, which would put them all into a
 * few sets of the first-level cache. Copying costs a load and a store for each vector, once for all that read
 * the tile. Rows come by address, so that paged keys cost nothing extra.
 */
#pragma once

#include "cpu/attention.h"
#include "cpu/simd/transpose.h"

namespace tfxf {
namespace TFXF_ISA {

TFXF_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
TFXF_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
TFXF_INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
/** Floats in a row of `columns`, rounded up to whole vectors. */
TFXF_INLINE int64_t whole_vectors(int64_t columns) { return divide_up(columns, kWidth) * kWidth; }

/** A number of floats rounded up to whole cache lines. */
TFXF_INLINE int64_t whole_lines(int64_t floats) { return divide_up(floats, 16) * 16; }

/** Floats from one row of a tile to the next: a cache line more than they fill, so that the rows spread over all cache sets. */
TFXF_INLINE int64_t tile_stride(int64_t columns) { return whole_vectors(columns) + 16; }

/**
 * Whether products are taken on AMX tiles: attention_forward_tiles.h, attention_backward_tiles.h. float32 goes as three terms,
 * six products, which is faster than registers unless most of a tile of depth is empty.
 */
TFXF_INLINE bool uses_tiles(const AttentionArgs& args) {
#if defined(__AMX_BF16__)
  constexpr int64_t kLeastColumns = 24;
  const DType dtype = args.query.dtype;
  if (args.key.dtype != dtype || args.value.dtype != dtype) return false;
  return dtype == DType::kBFloat16 || smaller(args.shape.key_dim, args.shape.value_dim) >= kLeastColumns;
#else
  (void)args;
  return false;
#endif
}

/** First element of row `row` of one batch item and head. */
TFXF_INLINE const char* row_address(const HeadsView& view, int64_t b, int64_t row, int64_t head) {
  const int64_t element = b * view.batch_stride + row * view.row_stride + head * view.head_stride;
  return static_cast<const char*>(view.data) + element * element_bytes(view.dtype);
}

/** Address of key (or value) row j of a block. */
TFXF_INLINE const char* key_address(const HeadsView& view, const MaskBlock& block, int64_t b,
                                    int64_t j, int64_t head) {
  return row_address(view, b, key_row(block, j), head);
}

/** Asks for memory: into the first cache (kLocality 3) or the second (2). */
template <int kLocality>
TFXF_INLINE void prefetch_bytes(const char* begin, int64_t bytes) {
  for (int64_t x = 0; x < bytes; x += 64) __builtin_prefetch(begin + x, 0, kLocality);
}

template <int kLocality>
TFXF_INLINE void prefetch_row(const char* row, int64_t columns, DType dtype) {
  prefetch_bytes<kLocality>(row, columns * element_bytes(dtype));
}

/** Not 0 where a lane is infinite or NaN. */
TFXF_INLINE Vi non_finite(Vf v) {
  return reinterpret_cast<Vi>((bits_of(v) & 0x7f800000u) == 0x7f800000u);
}

TFXF_INLINE bool any_lane(Vi flags) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(flags),
                                reinterpret_cast<__m512i>(flags)) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < kWidth; i++) any |= flags[i];
  return any != 0;
#endif
}

/** kWidth values of a row from column d on, or as many as there are and zeros. */
TFXF_INLINE Vf load_columns(const char* row, DType dtype, int64_t d, int64_t columns) {
  const int64_t left = columns - d;
  if (dtype == DType::kFloat32) {
    const float* p = reinterpret_cast<const float*>(row) + d;
    return left >= kWidth ? load(p) : load_first(p, left);
  }
  const uint16_t* p = reinterpret_cast<const uint16_t*>(row) + d;
  return left >= kWidth ? load_bfloat16(p) : load_first_bfloat16(p, left);
}

#if defined(__AVX512BF16__)
/** 16 words of a row of bfloat16, from word `first` on; what lies past the last column is 0, whatever the padding holds. */
TFXF_INLINE Vu load_pairs(const char* row, int64_t first, int64_t columns) {
  const int64_t left = columns - 2 * first;
  if (left >= 2 * kWidth) return load_words(reinterpret_cast<const uint32_t*>(row) + first);
  const uint16_t* p = reinterpret_cast<const uint16_t*>(row) + 2 * first;
  const __mmask32 there = static_cast<__mmask32>((uint64_t{1} << larger(left, 0)) - 1);
  return reinterpret_cast<Vu>(_mm512_maskz_loadu_epi16(there, p));
}
#endif

/** Whether `test` holds for any of `columns` values from `row` on. */
template <typename Test>
TFXF_INLINE bool any_in_row(const char* row, DType dtype, int64_t columns, const Test& test) {
  Vi found = {};
  for (int64_t d = 0; d < columns; d += kWidth) found |= test(load_columns(row, dtype, d, columns));
  return any_lane(found);
}

/** Whether any of `columns` values from `row` on is infinite or NaN. */
TFXF_INLINE bool row_is_spoilt(const char* row, DType dtype, int64_t columns) {
  return any_in_row(row, dtype, columns, [](Vf v) TFXF_ALWAYS_INLINE { return non_finite(v); });
}

/** The dot product of two rows. */
TFXF_INLINE float row_product(const char* a, DType a_dtype, const char* b, DType b_dtype, int64_t columns) {
  Vf sum = {};
  for (int64_t d = 0; d < columns; d += kWidth) {
    sum = fma(load_columns(a, a_dtype, d, columns), load_columns(b, b_dtype, d, columns), sum);
  }
  return sum_lanes(sum);
}

/**
 * Copies `count` rows into out[r][0 … whole_vectors(columns)), `stride` floats apart, widened; the columns past the
 * end become 0. `address(r)` is the first element of row r.
 * @returns whether any value is infinite or NaN.
 */
template <typename Address>
TFXF_INLINE bool copy_rows(const Address& address, DType dtype, int64_t count, int64_t columns,
                           float* out, int64_t stride) {
  Vi spoilt = {};
  for (int64_t r = 0; r < count; r++) {
    const char* row = address(r);
    for (int64_t d = 0; d < columns; d += kWidth) {
      const Vf v = load_columns(row, dtype, d, columns);
      spoilt |= non_finite(v);
      store(out + r * stride + d, v);
    }
  }
  return any_lane(spoilt);
}

/** Whether a row of a tile made by copy_rows holds an infinite value or NaN. */
TFXF_INLINE bool row_is_spoilt(const float* row, int64_t columns) {
  return row_is_spoilt(reinterpret_cast<const char*>(row), DType::kFloat32, whole_vectors(columns));
}

/**
 * Copies `count` <= `stride` rows transposed: out[d * stride + r], widened; the r from count up to the next multiple of
 * kWidth become 0. stride is a multiple of kWidth.
 */
template <typename Address>
TFXF_INLINE void copy_rows_transposed(const Address& address, DType dtype, int64_t count,
                                      int64_t columns, float* out, int64_t stride) {
  for (int64_t r0 = 0; r0 < count; r0 += kWidth) {
    for (int64_t d0 = 0; d0 < columns; d0 += kWidth) {
      Vf rows[kWidth];
      for (int r = 0; r < kWidth; r++) {
        rows[r] = r0 + r < count ? load_columns(address(r0 + r), dtype, d0, columns) : Vf{};
      }
      transpose(rows);
      const int64_t width = smaller(kWidth, columns - d0);
      for (int64_t d = 0; d < width; d++) store(out + (d0 + d) * stride + r0, rows[d]);
    }
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
