// SPDX-License-Identifier: Apache-2.0
/** How attention backward is cut into tiles, and what products on AMX tiles (attention_backward_tiles.h) keep for a worker. */
#pragma once

#include "cpu/kernels/attention_tile_forms.h"

namespace tfxf {
namespace TFXF_ISA {

/**
 * Keys to a chunk and queries to a tile: P and dS of a tile and all that they meet stay in the second-level cache, which is
 * twice as large where there are AMX tiles. Queries are read again for every chunk.
 */
#if defined(__AMX_BF16__)
constexpr int64_t kChunkKeys = 256;
constexpr int64_t kTileQueries = 64;
#else
constexpr int64_t kChunkKeys = 128;
constexpr int64_t kTileQueries = 96;
#endif

#if defined(__AMX_BF16__)

static_assert(kTileQueries % kTileDepth == 0 && kChunkKeys % kTileDepth == 0, "tiles of queries and keys are whole");
/** Words of a term of P or dS: pairs of queries, or of keys. */
constexpr int64_t kTilePairs = kTileQueries * kChunkKeys / 2;

/**
 * The forms of one worker, each of one term after the other (simd/tiles.h). `w`: words of a row, up to whole tiles; `c`:
 * columns up to whole vectors.
 */
struct TileScratch {
  // Of the chunk.
  uint32_t* keys_b;        // Kᵀ: [kChunkKeys / 16][w][16]
  uint32_t* values_b;      // Vᵀ: likewise
  uint32_t* key_pairs;     // K: [c / 16][kChunkKeys / 2][16]
  float* dkey;             // dKᵀ: [kChunkKeys / 16][c][16]
  float* dvalue;           // dVᵀ: likewise
  // Of the tile.
  uint32_t* query_rows;      // Q: [w / 16][kTileQueries][16]
  uint32_t* query_columns;   // Qᵀ: [kTileQueries / 32][c][16]
  uint32_t* doutput_rows;    // dO: [w / 16][kTileQueries][16]
  uint32_t* doutput_columns; // dOᵀ: [kTileQueries / 32][c][16]
  uint32_t* weight_pairs;    // P: [kChunkKeys / 16][kTileQueries / 2][16]
  uint32_t* dscore_pairs;    // dS: likewise
  uint32_t* dscore_rows;     // dS: [kChunkKeys / 32][kTileQueries][16]
};

/** What these forms have in common. */
struct TileSizes {
  int64_t key_words, value_words;      // of a row
  int64_t key_columns, value_columns;  // up to whole vectors
  int input_terms;                     // of Q, K and V
  int computed_terms;                  // of dO, P and dS

  explicit TileSizes(const AttentionArgs& args)
      : key_words(tile_row_words(args.shape.key_dim)),
        value_words(tile_row_words(args.shape.value_dim)),
        key_columns(whole_vectors(args.shape.key_dim)),
        value_columns(whole_vectors(args.shape.value_dim)),
        input_terms(TFXF_ISA::input_terms(args)),
        computed_terms(TFXF_ISA::computed_terms(args)) {}

  // Words of a term of keys_b, values_b and key_pairs, of query_rows and doutput_rows, of query_columns and doutput_columns.
  int64_t key_term() const { return kChunkKeys * key_words; }
  int64_t value_term() const { return kChunkKeys * value_words; }
  int64_t key_pair_term() const { return kChunkKeys / 2 * key_columns; }
  int64_t query_row_term() const { return kTileQueries * key_words; }
  int64_t doutput_row_term() const { return kTileQueries * value_words; }
  int64_t query_column_term() const { return kTileQueries / 2 * key_columns; }
  int64_t doutput_column_term() const { return kTileQueries / 2 * value_columns; }
};

template <typename Carver>
static inline TileScratch carve_tile_scratch(const AttentionArgs& args, Carver& carver) {
  const TileSizes size(args);
  TileScratch s;
  carver.take(s.keys_b, size.input_terms * size.key_term());
  carver.take(s.values_b, size.input_terms * size.value_term());
  carver.take(s.key_pairs, size.input_terms * size.key_pair_term());
  carver.take(s.dkey, kChunkKeys * size.key_columns);
  carver.take(s.dvalue, kChunkKeys * size.value_columns);
  carver.take(s.query_rows, size.input_terms * size.query_row_term());
  carver.take(s.query_columns, size.input_terms * size.query_column_term());
  carver.take(s.doutput_rows, size.computed_terms * size.doutput_row_term());
  carver.take(s.doutput_columns, size.computed_terms * size.doutput_column_term());
  carver.take(s.weight_pairs, size.computed_terms * kTilePairs);
  carver.take(s.dscore_pairs, size.computed_terms * kTilePairs);
  carver.take(s.dscore_rows, size.computed_terms * kTilePairs);
  return s;
}

#endif

}  // namespace TFXF_ISA
}  // namespace tfxf
