// SPDX-License-Identifier: Apache-2.0
/**
 * The five products of a tile of queries against a chunk of keys on AMX tiles, where queries, keys and values are bfloat16:
 *
 *     S   [query][key]  = Q Kᵀ                 dP [query][key]  = dO Vᵀ
 *     dVᵀ [column][key] += dOᵀ P               dKᵀ [column][key] += Qᵀ dS               dQ [query][column] = dS K
 *
 * dV and dK grow transposed, so that P and dS go into their products as they lie: pairs of queries side by side. What is not
 * bfloat16, dO, P and dS, goes in as the sum of two, its leading 8 bits and the rest: 16 bits, and float32 sums. What has an
 * infinite or NaN leading part has no rest.
 */
#pragma once

#include "cpu/kernels/attention_backward_load.h"

namespace tfxf {
namespace TFXF_ISA {

#if defined(__AMX_BF16__)

/** Pairs of keys, for dQ; with `clear`, what is not finite becomes 0. */
static inline void load_key_pairs(const BackwardCall& call, const TileScratch& s, const Chunk& chunk, bool clear) {
  const AttentionArgs& args = call.args.common;
  const TileSizes size(args.shape);
  const auto key = [&](int64_t j) {
    return key_address(args.key, chunk.block, chunk.b, chunk.j0 + j, chunk.kv_head);
  };
  for (int64_t j = 0; j < kChunkKeys; j += 2) {
    for (int64_t d = 0; d < size.key_columns; d += kWidth) {
      const auto columns = [&](int64_t r) {
        return r < chunk.keys ? load_columns(key(r), DType::kBFloat16, d, args.shape.key_dim) : Vf{};
      };
      const Vu pair = (bits_of(columns(j)) >> 16) | bits_of(columns(j + 1));
      store_words(s.key_pairs + d * (kChunkKeys / 2) + j / 2 * kTileSide, clear ? finite_pairs(pair) : pair);
    }
  }
}

/** The keys and values of a chunk; dK and dV are 0. */
static inline void load_chunk_tiles(const BackwardCall& call, const TileScratch& s, const Chunk& chunk) {
  const AttentionArgs& args = call.args.common;
  const TileSizes size(call.args.common.shape);
  const auto key = [&](int64_t j) {
    return key_address(args.key, chunk.block, chunk.b, chunk.j0 + j, chunk.kv_head);
  };
  const auto value = [&](int64_t j) {
    return key_address(args.value, chunk.block, chunk.b, chunk.j0 + j, chunk.kv_head);
  };
  copy_transposed_tiles(key, chunk.keys, args.shape.key_dim, s.keys_b);
  copy_transposed_tiles(value, chunk.keys, args.shape.value_dim, s.values_b);
  load_key_pairs(call, s, chunk, false);
  memset(s.dkey, 0, static_cast<size_t>(kChunkKeys * size.key_columns) * sizeof(float));
  memset(s.dvalue, 0, static_cast<size_t>(kChunkKeys * size.value_columns) * sizeof(float));
}

/** Splits 32 columns of float32 into two vectors of bfloat16, in order: leading bits and the rest. */
TFXF_INLINE void split_columns(Vf low, Vf high, Vu& leading, Vu& rest) {
  const Vf low_part = float_of(bits_of(low) & 0xffff0000u), high_part = float_of(bits_of(high) & 0xffff0000u);
  // Nothing is rounded here: the parts are bfloat16.
  leading = reinterpret_cast<Vu>(_mm512_cvtne2ps_pbh(high_part, low_part));
  rest = rest_beside(leading, reinterpret_cast<Vu>(_mm512_cvtne2ps_pbh(high - high_part, low - low_part)));
}

/** Transposes kTileQueries rows that lie as A does; with `clear`, what is not finite becomes 0. */
TFXF_INLINE void transpose_tile_rows(const uint32_t* rows, int64_t columns, bool clear, uint32_t* out) {
  for (int64_t r = 0; r < kTileQueries; r += kTileDepth) {
    for (int64_t d = 0; d < columns; d += kTileDepth) {
      const uint32_t* from = rows + d / 2 * kTileQueries + r * kTileSide;
      const auto row = [&](int x) TFXF_ALWAYS_INLINE {
        const Vu pair = load_words(from + x * kTileSide);
        return clear ? finite_pairs(pair) : pair;
      };
      transpose_pairs(row, columns - d, out + r / 2 * columns + d * kTileSide);
    }
  }
}

/**
 * The queries and output gradients of a tile, from where load_queries left them. With `clear`, what is not finite of queries
 * is 0 where it is multiplied with dS, which is 0 for hidden pairs; that of output gradients always is where it is multiplied
 * with P (see add_spoilt_doutput).
 */
static inline void load_query_tiles(const BackwardCall& call, const Tile& tile, const Scratch& from, bool clear,
                                    const TileScratch& s) {
  const TileSizes size(call.args.common.shape);
  for (int64_t r = 0; r < kTileQueries; r++) {
    const bool there = r < tile.rows;
    const auto columns = [&](const float* rows, int64_t width, int64_t d) {
      return there && d < width ? load(rows + r * width + d) : Vf{};
    };
    for (int64_t w = 0; w < size.key_words; w += kTileSide) {
      const Vf low = columns(from.query, size.key_columns, 2 * w);
      const Vf high = columns(from.query, size.key_columns, 2 * w + kWidth);
      Vu leading, rest;
      split_columns(low, high, leading, rest);
      store_words(s.query_rows + w * kTileQueries + r * kTileSide, leading);
    }
    for (int64_t w = 0; w < size.value_words; w += kTileSide) {
      const Vf low = columns(from.doutput, size.value_columns, 2 * w);
      const Vf high = columns(from.doutput, size.value_columns, 2 * w + kWidth);
      Vu leading, rest;
      split_columns(low, high, leading, rest);
      uint32_t* out = s.doutput_rows + w * kTileQueries + r * kTileSide;
      store_words(out, leading);
      store_words(out + size.doutput_row_words(), rest);
    }
  }
  transpose_tile_rows(s.query_rows, size.key_columns, clear, s.query_columns);
  transpose_tile_rows(s.doutput_rows, size.value_columns, true, s.doutput_columns);
  transpose_tile_rows(s.doutput_rows + size.doutput_row_words(), size.value_columns, true,
                      s.doutput_columns + size.doutput_column_words());
}

/** S and dP, into Scratch. */
static inline void multiply_score_tiles(const BackwardCall& call, const Tile& tile, const TileScratch& s, const Scratch& to) {
  const TileSizes size(call.args.common.shape);
  TileProduct p = {};
  p.rows = divide_up(tile.rows, kTileSide);
  p.columns = divide_up(tile.keys, kTileSide);
  p.depth = size.key_words / kTileSide;
  p.a = s.query_rows;
  p.a_step = kTileQueries * kTileSide;
  p.b = s.keys_b;
  p.b_step = size.key_words * kTileSide;
  p.c = to.weights;
  p.c_row_step = kTileSide * kPitch;
  p.c_step = kTileSide;
  p.c_pitch = kPitch;
  multiply_tiles(p);
  p.depth = size.value_words / kTileSide;
  p.a = s.doutput_rows;
  p.a_rest = size.doutput_row_words();
  p.b = s.values_b;
  p.b_step = size.value_words * kTileSide;
  p.c = to.dscores;
  multiply_tiles(p);
}

/** P and dS as their products read them, from Scratch; 0 past the tile's rows and keys, up to whole tiles. */
static inline void split_score_tiles(const Tile& tile, const Scratch& from, const TileScratch& s) {
  const int64_t lanes = whole_vectors(tile.keys);
  for (int64_t r = 0; r < divide_up(tile.rows, kTileDepth) * kTileDepth; r += 2) {
    const auto at = [&](const float* rows, int64_t x, int64_t row) TFXF_ALWAYS_INLINE {
      return row < tile.rows && x < lanes ? load(rows + row * kPitch + x) : Vf{};
    };
    for (int64_t x = 0; x < lanes; x += kTileDepth) {
      Vf dscores[2][2];
      for (int half = 0; half < 2; half++) {
        const int64_t lane = x + half * kWidth;
        for (int y = 0; y < 2; y++) dscores[y][half] = at(from.dscores, lane, r + y);
        if (lane >= lanes) continue;
        const int64_t pair = lane * (kTileQueries / 2) + r / 2 * kTileSide;
        store_split_pair(s.weight_pairs + pair, kTilePairs, at(from.weights, lane, r), at(from.weights, lane, r + 1));
        Vf even = dscores[0][half], odd = dscores[1][half];
        const Vu leading = take_leading(even, odd);
        store_words(s.dscore_pairs + pair, leading);
        store_words(s.dscore_pairs + pair + kTilePairs, rest_beside(leading, rounded_pairs(even, odd)));
      }
      for (int y = 0; y < 2; y++) {
        Vu leading, rest;
        split_columns(dscores[y][0], dscores[y][1], leading, rest);
        uint32_t* row = s.dscore_rows + x / 2 * kTileQueries + (r + y) * kTileSide;
        store_words(row, leading);
        store_words(row + kTilePairs, rest);
      }
    }
  }
}

/** Adds to dVᵀ and dKᵀ, and makes dQ but for its scale, in Scratch. */
static inline void multiply_gradient_tiles(const BackwardCall& call, const Tile& tile, const TileScratch& s, const Scratch& to) {
  const TileSizes size(call.args.common.shape);
  TileProduct p = {};
  p.rows = size.value_columns / kTileSide;
  p.columns = divide_up(tile.keys, kTileSide);
  p.depth = divide_up(tile.rows, kTileDepth);
  p.a = s.doutput_columns;
  p.a_step = size.value_columns * kTileSide;
  p.a_rest = size.doutput_column_words();
  p.b = s.weight_pairs;
  p.b_step = kTileQueries / 2 * kTileSide;
  p.b_rest = kTilePairs;
  p.c = s.dvalue;
  p.c_row_step = kTileWords;
  p.c_step = size.value_columns * kTileSide;
  p.c_pitch = kTileSide;
  multiply_add_tiles(p);
  p.rows = size.key_columns / kTileSide;
  p.a = s.query_columns;
  p.a_step = size.key_columns * kTileSide;
  p.a_rest = 0;
  p.b = s.dscore_pairs;
  p.c = s.dkey;
  p.c_step = size.key_columns * kTileSide;
  multiply_add_tiles(p);
  p.rows = divide_up(tile.rows, kTileSide);
  p.columns = size.key_columns / kTileSide;
  p.depth = divide_up(tile.keys, kTileDepth);
  p.a = s.dscore_rows;
  p.a_step = kTileQueries * kTileSide;
  p.a_rest = kTilePairs;
  p.b = s.key_pairs;
  p.b_step = kChunkKeys / 2 * kTileSide;
  p.b_rest = 0;
  p.c = to.dquery;
  p.c_row_step = kTileSide * size.key_columns;
  p.c_step = kTileSide;
  p.c_pitch = size.key_columns;
  multiply_tiles(p);
}

/**
 * What load_query_tiles cleared of dO, added to dV of the keys that it meets; pairs with a weight of 0 are hidden if the tile
 * `is_mixed`. What is cleared of queries and keys is not missed: where such a pair is visible its dS is NaN, or 0.
 */
static inline void add_spoilt_doutput(const BackwardCall& call, const Tile& tile, const Scratch& s, bool is_mixed) {
  const int64_t width = call.value_width;
  for (int64_t r = 0; r < tile.rows; r++) {
    const float* row = s.doutput + r * width;
    if (!row_is_spoilt(row, width)) continue;
    for (int64_t j = 0; j < tile.keys; j++) {
      const float weight = s.weights[r * kPitch + j];
      if (is_mixed && weight == 0.0f) continue;
      for (int64_t d = 0; d < width; d += kWidth) {
        const Vf value = load(row + d);
        float* out = s.dvalue + j * width + d;
        store(out, non_finite(value) ? load(out) + value * weight : load(out));
      }
    }
  }
}

/** Adds a gradient that grew transposed to rows of `columns`. */
TFXF_INLINE void add_transposed(const float* from, int64_t columns, int64_t keys, float* rows) {
  for (int64_t j = 0; j < keys; j += kWidth) {
    for (int64_t d = 0; d < columns; d += kWidth) {
      Vf tile[kWidth];
      for (int x = 0; x < kWidth; x++) tile[x] = load(from + j * columns + (d + x) * kWidth);
      transpose(tile);
      const int64_t there = smaller(kWidth, keys - j);
      for (int64_t x = 0; x < there; x++) {
        float* out = rows + (j + x) * columns + d;
        store(out, load(out) + tile[x]);
      }
    }
  }
}

/** Adds dK and dV of a chunk to those of Scratch. */
static inline void add_key_gradient_tiles(const BackwardCall& call, const Chunk& chunk, const TileScratch& s, const Scratch& to) {
  add_transposed(s.dkey, call.key_width, chunk.keys, to.dkey);
  add_transposed(s.dvalue, call.value_width, chunk.keys, to.dvalue);
}

#endif

}  // namespace TFXF_ISA
}  // namespace tfxf
