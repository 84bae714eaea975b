// SPDX-License-Identifier: Apache-2.0
/**
 * Matrix products on AMX tiles: C = A B, or C += A B, with A and B sums of bfloat16 and C in float32. All are made of tiles,
 * 16 rows of 64 bytes each, that lie one after the other, since a tile with its rows apart takes twice as long to load:
 *
 *   A: tile (m, k) has rows 16 m … 16 m + 15 and columns 32 k … 32 k + 31
 *   B: tile (k, n) has, for the columns 16 n … 16 n + 15, words of rows 32 k + 2 r and 32 k + 2 r + 1 side by side
 *   C: tile (m, n)
 *
 * Products of two bfloat16 are exact in float32; subnormal inputs count as zero, as the instruction has it.
 *
 * Source: Intel, "Intel 64 and IA-32 Architectures Optimization Reference Manual", chapter on AMX.
 */
#pragma once

#if defined(__AMX_BF16__)

#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

/** Rows of a tile, 32-bit words in each, and words of a tile. */
constexpr int64_t kTileSide = 16;
constexpr int64_t kTileWords = kTileSide * kTileSide;

constexpr int kTileRegisters = 8;

/** Rows of one tile register, at most kTileSide, and 32-bit words in each, likewise. */
struct TileShape {
  int64_t rows, words;
};

/** Tile registers are in use within a scope; a thread that leaves them in use is slow to switch from. */
class TileScope {
 public:
  TileScope() { configure([](int) { return TileShape{kTileSide, kTileSide}; }); }

  /** With registers of other shapes. */
  explicit TileScope(const TileShape (&shapes)[kTileRegisters]) {
    configure([&](int t) { return shapes[t]; });
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  template <typename ShapeOf>
  static void configure(const ShapeOf& shape_of) {
    struct alignas(64) {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } shapes = {};
    shapes.palette = 1;
    for (int t = 0; t < kTileRegisters; t++) {
      shapes.row_bytes[t] = static_cast<uint16_t>(4 * shape_of(t).words);
      shapes.rows[t] = static_cast<uint8_t>(shape_of(t).rows);
    }
    asm volatile("" : : "m"(shapes) : "memory");  // GCC takes it that _tile_loadconfig reads eight bytes
    _tile_loadconfig(&shapes);
    asm volatile("" : : "m"(shapes) : "memory");
  }
};

/**
 * A matrix that is not in bfloat16 is a sum of terms that are, the largest first, each what is left of the elements rounded:
 * two terms hold 16 bits, three the 24 of float32. Of the products of terms the least are left out, which are on average below
 * the last bit: three terms times three are six products, and as accurate as float32.
 *
 * Source of the three terms: G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype
 * For Higher-Precision Computations" (2019).
 */
struct TermPair {
  int8_t a, b;
  bool new_a, new_b;  // whether it is another term than in the pair before
};

/** Which terms are multiplied, one pair after the other; neighbours share a term, which is loaded once. */
struct TermPairs {
  int count;
  TermPair pairs[6];
};

constexpr TermPairs kOneByOne = {1, {{0, 0, true, true}}};
constexpr TermPairs kOneByTwo = {2, {{0, 1, true, true}, {0, 0, false, true}}};
constexpr TermPairs kTwoByOne = {2, {{1, 0, true, true}, {0, 0, true, false}}};
constexpr TermPairs kTwoByTwo = {3, {{0, 1, true, true}, {0, 0, false, true}, {1, 0, true, false}}};
constexpr TermPairs kThreeByThree = {
    6,
    {{2, 0, true, true}, {1, 0, true, false}, {1, 1, false, true}, {0, 1, true, false}, {0, 2, false, true},
     {0, 0, false, true}}};
/** The same with A and B exchanged: the same bits for the transposed product. */
constexpr TermPairs kThreeByThreeTransposed = {
    6,
    {{0, 2, true, true}, {0, 1, false, true}, {1, 1, true, false}, {1, 0, false, true}, {2, 0, true, false},
     {0, 0, true, false}}};

/** Of a product: how many tiles there are of rows, columns and depth, and where they lie. All steps are in words. */
struct TileProduct {
  int64_t rows, columns, depth;
  const uint32_t* a;  // tile (m, k) begins at a + m * kTileWords + k * a_step
  int64_t a_step;
  const uint32_t* b;  // tile (k, n) begins at b + k * kTileWords + n * b_step
  int64_t b_step;
  float* c;  // tile (m, n) begins at c + m * c_row_step + n * c_step, and its rows lie c_pitch apart
  int64_t c_row_step, c_step, c_pitch;
  int64_t a_term, b_term;  // from one term of A, or of B, to the next
};

/** kRows x kColumns tiles of C, each 1 or 2. Registers: 0 to 3 C, 4 and 5 A, 6 and 7 B; four products to four loads at most. */
template <const TermPairs& kPairs, int kRows, int kColumns, bool kAdd>
TFXF_INLINE void multiply_block(const TileProduct& p, int64_t m, int64_t n) {
  constexpr int64_t kRowBytes = 4 * kTileSide;
  const int64_t c_bytes = 4 * p.c_pitch;
  float* const c0 = p.c + m * p.c_row_step + n * p.c_step;
  float* const c1 = c0 + p.c_step;
  if (kAdd) {
    _tile_loadd(0, c0, c_bytes);
    if (kRows == 2) _tile_loadd(1, c0 + p.c_row_step, c_bytes);
    if (kColumns == 2) _tile_loadd(2, c1, c_bytes);
    if (kRows == 2 && kColumns == 2) _tile_loadd(3, c1 + p.c_row_step, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < p.depth; k++) {
    const uint32_t* const a = p.a + m * kTileWords + k * p.a_step;
    const uint32_t* const b = p.b + k * kTileWords + n * p.b_step;
#pragma GCC unroll 6
    for (int x = 0; x < kPairs.count; x++) {
      const TermPair pair = kPairs.pairs[x];
      if (pair.new_a) {
        const uint32_t* const term = a + pair.a * p.a_term;
        _tile_loadd(4, term, kRowBytes);
        if (kRows == 2) _tile_loadd(5, term + kTileWords, kRowBytes);
      }
      const uint32_t* const b_term = b + pair.b * p.b_term;
      if (pair.new_b) _tile_loadd(6, b_term, kRowBytes);
      _tile_dpbf16ps(0, 4, 6);
      if (kRows == 2) _tile_dpbf16ps(1, 5, 6);
      if (pair.new_b && kColumns == 2) _tile_loadd(7, b_term + p.b_step, kRowBytes);
      if (kColumns == 2) _tile_dpbf16ps(2, 4, 7);
      if (kRows == 2 && kColumns == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c0, c_bytes);
  if (kRows == 2) _tile_stored(1, c0 + p.c_row_step, c_bytes);
  if (kColumns == 2) _tile_stored(2, c1, c_bytes);
  if (kRows == 2 && kColumns == 2) _tile_stored(3, c1 + p.c_row_step, c_bytes);
}

template <const TermPairs& kPairs, int kRows, bool kAdd>
TFXF_INLINE void multiply_rows(const TileProduct& p, int64_t m) {
  int64_t n = 0;
  for (; n + 1 < p.columns; n += 2) multiply_block<kPairs, kRows, 2, kAdd>(p, m, n);
  if (n < p.columns) multiply_block<kPairs, kRows, 1, kAdd>(p, m, n);
}

template <const TermPairs& kPairs, int kColumns, bool kAdd>
TFXF_INLINE void multiply_columns(const TileProduct& p, int64_t n) {
  int64_t m = 0;
  for (; m + 1 < p.rows; m += 2) multiply_block<kPairs, 2, kColumns, kAdd>(p, m, n);
  if (m < p.rows) multiply_block<kPairs, 1, kColumns, kAdd>(p, m, n);
}

/** C = A B, in a TileScope; all of B should fit in the first-level cache. */
template <const TermPairs& kPairs>
static __attribute__((noinline)) void multiply_tiles(const TileProduct& p) {
  asm volatile("" : : : "memory");  // GCC does not know that _tile_loadd reads memory
  int64_t m = 0;
  for (; m + 1 < p.rows; m += 2) multiply_rows<kPairs, 2, false>(p, m);
  if (m < p.rows) multiply_rows<kPairs, 1, false>(p, m);
}

/** C += A B, in a TileScope; two columns of tiles of B should fit in the first-level cache. */
template <const TermPairs& kPairs>
static __attribute__((noinline)) void multiply_add_tiles(const TileProduct& p) {
  asm volatile("" : : : "memory");
  int64_t n = 0;
  for (; n + 1 < p.columns; n += 2) multiply_columns<kPairs, 2, true>(p, n);
  if (n < p.columns) multiply_columns<kPairs, 1, true>(p, n);
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
