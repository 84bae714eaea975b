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
/** Words of P or dS: pairs of queries, or of keys. */
constexpr int64_t kTilePairs = kTileQueries * kChunkKeys / 2;

/** The forms of one worker. `w`: words of a row, up to whole tiles; `c`: columns up to whole vectors. */
struct TileScratch {
  // Of the chunk.
  uint32_t* keys_b;        // Kᵀ: [kChunkKeys / 16][w][16]
  uint32_t* values_b;      // Vᵀ: likewise
  uint32_t* key_pairs;     // K: [c / 16][kChunkKeys / 2][16]
  float* dkey;             // dKᵀ: [kChunkKeys / 16][c][16]
  float* dvalue;           // dVᵀ: likewise
  // Of the tile; what is the sum of two has the leading bits first, and then the rest.
  uint32_t* query_rows;      // Q: [w / 16][kTileQueries][16]
  uint32_t* query_columns;   // Qᵀ: [kTileQueries / 32][c][16]
  uint32_t* doutput_rows;    // dO: two of [w / 16][kTileQueries][16]
  uint32_t* doutput_columns; // dOᵀ: two of [kTileQueries / 32][c][16]
  uint32_t* weight_pairs;    // P: two of [kChunkKeys / 16][kTileQueries / 2][16]
  uint32_t* dscore_pairs;    // dS: likewise
  uint32_t* dscore_rows;     // dS: two of [kChunkKeys / 32][kTileQueries][16]
};

/** The sizes that these forms have in common. */
struct TileSizes {
  int64_t key_words, value_words;      // of a row
  int64_t key_columns, value_columns;  // up to whole vectors

  explicit TileSizes(const AttentionShape& shape)
      : key_words(tile_row_words(shape.key_dim)),
        value_words(tile_row_words(shape.value_dim)),
        key_columns(whole_vectors(shape.key_dim)),
        value_columns(whole_vectors(shape.value_dim)) {}

  int64_t doutput_row_words() const { return value_words * kTileQueries; }
  int64_t doutput_column_words() const { return value_columns * kTileQueries / 2; }
};

template <typename Carver>
static inline TileScratch carve_tile_scratch(const AttentionShape& shape, Carver& carver) {
  const TileSizes size(shape);
  TileScratch s;
  carver.take(s.keys_b, kChunkKeys * size.key_words);
  carver.take(s.values_b, kChunkKeys * size.value_words);
  carver.take(s.key_pairs, kChunkKeys / 2 * size.key_columns);
  carver.take(s.dkey, kChunkKeys * size.key_columns);
  carver.take(s.dvalue, kChunkKeys * size.value_columns);
  carver.take(s.query_rows, kTileQueries * size.key_words);
  carver.take(s.query_columns, kTileQueries / 2 * size.key_columns);
  carver.take(s.doutput_rows, 2 * size.doutput_row_words());
  carver.take(s.doutput_columns, 2 * size.doutput_column_words());
  carver.take(s.weight_pairs, 2 * kTilePairs);
  carver.take(s.dscore_pairs, 2 * kTilePairs);
  carver.take(s.dscore_rows, 2 * kTilePairs);
  return s;
}

#endif

}  // namespace TFXF_ISA
}  // namespace tfxf
