// SPDX-License-Identifier: Apache-2.0
/**
 * The five products of a tile of queries against a chunk of keys on AMX tiles:
 *
 *     S   [query][key]  = Q Kᵀ                 dP [query][key]  = dO Vᵀ
 *     dVᵀ [column][key] += dOᵀ P               dKᵀ [column][key] += Qᵀ dS               dQ [query][column] = dS K
 *
 * dV and dK grow transposed, so that P and dS go into their products as they lie: pairs of queries side by side. What is in
 * float32, as dO, P and dS always are, goes in as the sum of bfloat16 (simd/tiles.h): beside bfloat16 of two, its leading 8
 * bits and the rest, and beside float32 of three, as accurate as float32. Sums are float32. Only keys that some query of the
 * tile sees are multiplied.
 */
#pragma once

#include "cpu/kernels/attention_backward_tile_mend.h"

namespace tfxf {
namespace TFXF_ISA {

#if defined(__AMX_BF16__)

/** S and dP, into Scratch. */
static inline void multiply_score_tiles(const BackwardCall& call, const Tile& tile, const Interval& keys, const TileScratch& s,
                                        const Scratch& to) {
  const TileSizes size(call.args.common);
  TileProduct p = {};
  p.rows = divide_up(tile.rows, kTileSide);
  p.columns = divide_up(keys.end - keys.begin, kTileSide);
  p.depth = size.key_words / kTileSide;
  p.a = s.query_rows;
  p.a_step = kTileQueries * kTileSide;
  p.a_term = size.query_row_term();
  p.b = s.keys_b + keys.begin * size.key_words;
  p.b_step = size.key_words * kTileSide;
  p.b_term = size.key_term();
  p.c = to.weights + keys.begin;
  p.c_row_step = kTileSide * kPitch;
  p.c_step = kTileSide;
  p.c_pitch = kPitch;
  // Forward, keys are A: the same bits.
  (size.input_terms == 1 ? multiply_tiles<kOneByOne> : multiply_tiles<kThreeByThreeTransposed>)(p);
  p.depth = size.value_words / kTileSide;
  p.a = s.doutput_rows;
  p.a_term = size.doutput_row_term();
  p.b = s.values_b + keys.begin * size.value_words;
  p.b_step = size.value_words * kTileSide;
  p.b_term = size.value_term();
  p.c = to.dscores + keys.begin;
  (size.input_terms == 1 ? multiply_tiles<kTwoByOne> : multiply_tiles<kThreeByThree>)(p);
}

/** Adds to dVᵀ and dKᵀ, and makes dQ but for its scale, in Scratch. */
static inline void multiply_gradient_tiles(const BackwardCall& call, const Tile& tile, const Interval& keys,
                                           const TileScratch& s, const Scratch& to) {
  const TileSizes size(call.args.common);
  TileProduct p = {};
  p.rows = size.value_columns / kTileSide;
  p.columns = divide_up(keys.end - keys.begin, kTileSide);
  p.depth = divide_up(tile.rows, kTileDepth);
  p.a = s.doutput_columns;
  p.a_step = size.value_columns * kTileSide;
  p.a_term = size.doutput_column_term();
  p.b = s.weight_pairs + keys.begin * (kTileQueries / 2);
  p.b_step = kTileQueries / 2 * kTileSide;
  p.b_term = kTilePairs;
  p.c = s.dvalue + keys.begin * size.value_columns;
  p.c_row_step = kTileWords;
  p.c_step = size.value_columns * kTileSide;
  p.c_pitch = kTileSide;
  (size.input_terms == 1 ? multiply_add_tiles<kTwoByTwo> : multiply_add_tiles<kThreeByThree>)(p);
  p.rows = size.key_columns / kTileSide;
  p.a = s.query_columns;
  p.a_step = size.key_columns * kTileSide;
  p.a_term = size.query_column_term();
  p.b = s.dscore_pairs + keys.begin * (kTileQueries / 2);
  p.c = s.dkey + keys.begin * size.key_columns;
  p.c_step = size.key_columns * kTileSide;
  (size.input_terms == 1 ? multiply_add_tiles<kOneByTwo> : multiply_add_tiles<kThreeByThree>)(p);
  p.rows = divide_up(tile.rows, kTileSide);
  p.columns = size.key_columns / kTileSide;
  p.depth = divide_up(keys.end - keys.begin, kTileDepth);
  p.a = s.dscore_rows + keys.begin / 2 * kTileQueries;
  p.a_step = kTileQueries * kTileSide;
  p.a_term = kTilePairs;
  p.b = s.key_pairs + keys.begin / 2 * kTileSide;
  p.b_step = kChunkKeys / 2 * kTileSide;
  p.b_term = size.key_pair_term();
  p.c = to.dquery;
  p.c_row_step = kTileSide * size.key_columns;
  p.c_step = kTileSide;
  p.c_pitch = size.key_columns;
  (size.input_terms == 1 ? multiply_tiles<kTwoByOne> : multiply_tiles<kThreeByThree>)(p);
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
