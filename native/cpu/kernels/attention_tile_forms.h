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

/** A of `count` rows: tiles of depth one after the other, each of `capacity` rows. */
template <typename Address>
TFXF_INLINE void copy_row_tiles(const Address& address, int64_t count, int64_t columns, int64_t capacity, uint32_t* out) {
  const int64_t words = tile_row_words(columns);
  for (int64_t r = 0; r < count; r++) {
    const char* row = address(r);
    for (int64_t w = 0; w < words; w += kTileSide) {
      store_words(out + w * capacity + r * kTileSide, load_pairs(row, w, columns));
    }
  }
}

/** B of `count` rows transposed: their columns are the depth. Sixteen rows one after the other, up to whole tiles with 0. */
template <typename Address>
TFXF_INLINE void copy_transposed_tiles(const Address& address, int64_t count, int64_t columns, uint32_t* out) {
  const int64_t words = tile_row_words(columns);
  for (int64_t first = 0; first < count; first += kTileSide) {
    for (int64_t w = 0; w < words; w += kTileSide) {
      Vf rows[kWidth];
      for (int r = 0; r < kWidth; r++) {
        rows[r] = first + r < count ? float_of(load_pairs(address(first + r), w, columns)) : Vf{};
      }
      transpose(rows);
      for (int r = 0; r < kWidth; r++) store_words(out + first * words + (w + r) * kTileSide, bits_of(rows[r]));
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

/** Two vectors side by side, rounded to bfloat16 (halves up); what was rounded off of each is left in it. */
TFXF_INLINE Vu take_leading(Vf& even, Vf& odd) {
  const Vu first = (bits_of(even) + 0x8000u) & 0xffff0000u, second = (bits_of(odd) + 0x8000u) & 0xffff0000u;
  even -= float_of(first);
  odd -= float_of(second);
  return (first >> 16) | second;
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

/** Two rows of B, side by side: their leading bits, and `rest` words further on the rest. */
TFXF_INLINE void store_split_pair(uint32_t* out, int64_t rest, Vf even, Vf odd) {
  store_words(out, take_leading(even, odd));
  store_words(out + rest, rounded_pairs(even, odd));
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
