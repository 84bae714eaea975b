// SPDX-License-Identifier: Apache-2.0
/** Bringing rows of bfloat16 or float32 into the forms that products on tiles read: see simd/tiles.h. */
#pragma once

#include "cpu/kernels/attention_tile.h"

#if defined(__AMX_BF16__)

#include "cpu/simd/tiles.h"

namespace tfxf {
namespace TFXF_ISA {

/** bfloat16 values in a row of a tile of A, and rows behind a tile of B. */
constexpr int64_t kTileDepth = 2 * kTileSide;

/** Words of a row of `columns` bfloat16, filled up to whole tiles. */
TFXF_INLINE int64_t tile_row_words(int64_t columns) { return divide_up(columns, kTileDepth) * kTileSide; }

/** The most terms of a float32: see simd/tiles.h. */
constexpr int kMostTerms = 3;

/** The terms that hold every bit of a query, key or value. */
TFXF_INLINE int input_terms(const AttentionArgs& args) { return args.query.dtype == DType::kBFloat16 ? 1 : kMostTerms; }

/** The terms of what is computed in float32, like weights, for products with those. */
TFXF_INLINE int computed_terms(const AttentionArgs& args) { return args.query.dtype == DType::kBFloat16 ? 2 : kMostTerms; }

/**
 * Not 0 where |v| is 2^72 or more, and finite or not; NaN, of which every product is NaN, does not count. Only beside such a
 * number may a product of the third term, which is below 2^-16 of the first and may have the other sign, overflow to the other
 * infinity than the first term's.
 */
TFXF_INLINE Vi is_vast(Vf v) {
  const Vu magnitude = bits_of(v) & 0x7fffffffu;
  return reinterpret_cast<Vi>((magnitude >= 0x63800000u) & (magnitude <= 0x7f800000u));
}

/** Whether any of `columns` float32 from `row` on is vast. */
TFXF_INLINE bool row_is_vast(const char* row, int64_t columns) {
  return any_in_row(row, DType::kFloat32, columns, [](Vf v) TFXF_ALWAYS_INLINE { return is_vast(v); });
}

/**
 * Takes products of float32 rows again where one of the two is vast: of `count` rows, at most kCapacity, on the left with
 * those of `keys` on the right. left(r) and right(j) are where rows of `columns` begin, and at(r, j) is where their product
 * lies in `out`.
 */
template <int64_t kCapacity, typename Left, typename Right, typename At>
static inline void mend_products(int64_t count, const Left& left, const Interval& keys, const Right& right, int64_t columns,
                                 float* out, const At& at) {
  constexpr DType kDType = DType::kFloat32;
  bool vast[kCapacity];
  for (int64_t r = 0; r < count; r++) vast[r] = row_is_vast(left(r), columns);
  for (int64_t j = keys.begin; j < keys.end; j++) {
    const bool is_vast_key = row_is_vast(right(j), columns);
    for (int64_t r = 0; r < count; r++) {
      if (is_vast_key || vast[r]) out[at(r, j)] = row_product(left(r), kDType, right(j), kDType, columns);
    }
  }
}

/** Rounds to bfloat16, halves up or (`kCut`) towards 0, and leaves in v what was rounded off. */
template <bool kCut>
TFXF_INLINE Vf take_term(Vf& v) {
  const Vf term = float_of((kCut ? bits_of(v) : bits_of(v) + 0x8000u) & 0xffff0000u);
  v -= term;
  return term;
}

/** 32 columns in order, rounded to bfloat16. */
TFXF_INLINE Vu rounded_columns(Vf low, Vf high) { return reinterpret_cast<Vu>(_mm512_cvtne2ps_pbh(high, low)); }

/**
 * The terms of 32 columns in order. The first is cut off, so that it is finite wherever the value is; store_split_pair<2>, which
 * gets none so large, rounds it, as two terms are then more accurate.
 */
template <int kTerms>
TFXF_INLINE void split_columns(Vf low, Vf high, Vu (&terms)[kTerms]) {
  if (kTerms > 1) {
    const Vf low_term = take_term<true>(low), high_term = take_term<true>(high);
    terms[0] = rounded_columns(low_term, high_term);  // which rounds nothing
  }
  if (kTerms > 2) {
    const Vf low_term = take_term<false>(low), high_term = take_term<false>(high);
    terms[1] = rounded_columns(low_term, high_term);
  }
  terms[kTerms - 1] = rounded_columns(low, high);
}

/** The terms of 32 columns of a row of `columns` float32, or the one term of bfloat16, from word `first` on; 0 past the end. */
template <int kTerms>
TFXF_INLINE void load_terms(const char* row, int64_t first, int64_t columns, Vu (&terms)[kTerms]) {
  if (kTerms == 1) {
    terms[0] = load_pairs(row, first, columns);
    return;
  }
  const int64_t d = 2 * first;
  const Vf low = load_columns(row, DType::kFloat32, d, columns);
  const Vf high = d + kWidth < columns ? load_columns(row, DType::kFloat32, d + kWidth, columns) : Vf{};
  split_columns(low, high, terms);
}

/** A of `count` rows: tiles of depth one after the other, each of `capacity` rows; terms are `term` words apart. */
template <int kTerms, typename Address>
TFXF_INLINE void copy_row_tiles(const Address& address, int64_t count, int64_t columns, int64_t capacity, int64_t term,
                                uint32_t* out) {
  const int64_t words = tile_row_words(columns);
  for (int64_t r = 0; r < count; r++) {
    const char* row = address(r);
    for (int64_t w = 0; w < words; w += kTileSide) {
      Vu terms[kTerms];
      load_terms<kTerms>(row, w, columns, terms);
      for (int t = 0; t < kTerms; t++) store_words(out + t * term + w * capacity + r * kTileSide, terms[t]);
    }
  }
}

/**
 * B of `count` rows transposed: their columns are the depth. Sixteen rows one after the other, up to whole tiles with 0; terms
 * are `term` words apart.
 */
template <int kTerms, typename Address>
TFXF_INLINE void copy_transposed_tiles(const Address& address, int64_t count, int64_t columns, int64_t term, uint32_t* out) {
  const int64_t words = tile_row_words(columns);
  for (int64_t first = 0; first < count; first += kTileSide) {
    for (int64_t w = 0; w < words; w += kTileSide) {
      Vf rows[kTerms][kWidth];
      for (int r = 0; r < kWidth; r++) {
        Vu terms[kTerms] = {};
        if (first + r < count) load_terms<kTerms>(address(first + r), w, columns, terms);
        for (int t = 0; t < kTerms; t++) rows[t][r] = float_of(terms[t]);
      }
      for (int t = 0; t < kTerms; t++) {
        transpose(rows[t]);
        uint32_t* to = out + t * term + first * words + w * kTileSide;
        for (int r = 0; r < kWidth; r++) store_words(to + r * kTileSide, bits_of(rows[t][r]));
      }
    }
  }
}

/**
 * A of kTileDepth rows transposed, 32 columns of it: row(x) has words of columns c, c + 1 of row x. Row c of the result has the
 * 32 values of column c; `columns`, a multiple of 16, of them are written.
 */
template <typename Row>
TFXF_INLINE void transpose_pairs(const Row& row, int64_t columns, uint32_t* out) {
  Vf even[kWidth], odd[kWidth];  // columns 0, 2, … and 1, 3, … of pairs of rows
#pragma GCC unroll 16
  for (int x = 0; x < kWidth; x++) {
    const Vu first = row(2 * x), second = row(2 * x + 1);
    even[x] = float_of((first & 0xffffu) | (second << 16));
    odd[x] = float_of((first >> 16) | (second & 0xffff0000u));
  }
  transpose(even);
  transpose(odd);
  const int64_t pairs = smaller(kWidth, columns / 2);
  for (int64_t x = 0; x < pairs; x++) {
    store_words(out + 2 * x * kTileSide, bits_of(even[x]));
    store_words(out + (2 * x + 1) * kTileSide, bits_of(odd[x]));
  }
}

/** Two vectors side by side, rounded to bfloat16. */
TFXF_INLINE Vu rounded_pairs(Vf even, Vf odd) {
  alignas(64) static const uint16_t kOrder[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                  8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even));
  return reinterpret_cast<Vu>(_mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both));
}

/** Two bfloat16 to a lane; those that are infinite or NaN become 0. */
TFXF_INLINE Vu finite_pairs(Vu pair) {
  const Vu low = (pair & 0x7f80u) == 0x7f80u ? Vu{} : pair & 0xffffu;
  const Vu high = (pair & 0x7f800000u) == 0x7f800000u ? Vu{} : pair & 0xffff0000u;
  return low | high;
}

/** `rest`, but 0 where the leading part is infinite: infinity less infinity is NaN. */
TFXF_INLINE Vu rest_beside(Vu leading, Vu rest) {
  const Vu low = (leading & 0x7f80u) == 0x7f80u ? Vu{} : rest & 0xffffu;
  const Vu high = (leading & 0x7f800000u) == 0x7f800000u ? Vu{} : rest & 0xffff0000u;
  return low | high;
}

/** Two vectors side by side, rounded to bfloat16 as by take_term; what was rounded off of each is left in it. */
template <bool kCut>
TFXF_INLINE Vu take_pair(Vf& even, Vf& odd) {
  const Vu first = bits_of(take_term<kCut>(even)), second = bits_of(take_term<kCut>(odd));
  return (first >> 16) | second;
}

/** Two rows of B, side by side: their terms, `term` words apart. */
template <int kTerms>
TFXF_INLINE void store_split_pair(uint32_t* out, int64_t term, Vf even, Vf odd) {
  if (kTerms == 2) store_words(out, take_pair<false>(even, odd));
  if (kTerms == 3) {
    store_words(out, take_pair<true>(even, odd));
    store_words(out + term, take_pair<false>(even, odd));
  }
  store_words(out + (kTerms - 1) * term, rounded_pairs(even, odd));
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
