// SPDX-License-Identifier: Apache-2.0
/**
 * Where infinite, NaN or vast elements (is_vast) take part in the products of attention_backward_tiles.h, so that each result is
 * what products of float32 give, and nothing reaches a result that does not depend on them: not a bit of it.
 */
#pragma once

#include "cpu/kernels/attention_backward_sums.h"
#include "cpu/kernels/attention_backward_tile_load.h"

namespace tfxf {
namespace TFXF_ISA {

#if defined(__AMX_BF16__)

/** S and dP of three terms, in Scratch. */
static inline void mend_scores(const BackwardCall& call, const Chunk& chunk, const Tile& tile, const Interval& keys,
                               const Scratch& s) {
  const AttentionArgs& args = call.args.common;
  const auto query = [&](int64_t r) { return reinterpret_cast<const char*>(s.query + r * call.key_width); };
  const auto doutput = [&](int64_t r) { return reinterpret_cast<const char*>(s.doutput + r * call.value_width); };
  const auto key = [&](int64_t j) { return chunk_row(args.key, chunk, j); };
  const auto value = [&](int64_t j) { return chunk_row(args.value, chunk, j); };
  const Interval there = {keys.begin, smaller(keys.end, tile.keys)};
  const auto at = [&](int64_t r, int64_t j) { return r * kPitch + j; };
  mend_products<kTileQueries>(tile.rows, query, there, key, args.shape.key_dim, s.weights, at);
  mend_products<kTileQueries>(tile.rows, doutput, there, value, args.shape.value_dim, s.dscores, at);
}

/**
 * Finds the rows whose products with dS are to be taken apart, as dS is vast or what it is multiplied with is, and takes them out
 * of the products to come: their dS become 0 in TileScratch.
 */
static inline void set_rows_apart(const BackwardCall& call, const Chunk& chunk, const Tile& tile, const Interval& keys,
                                  const Scratch& s, bool (&apart)[kTileQueries]) {
  const int64_t width = call.key_width, end = smaller(keys.end, tile.keys);
  const auto is_vast_row = [&](const float* row) { return row_is_vast(reinterpret_cast<const char*>(row), width); };
  bool vast_keys[kChunkKeys] = {};
  for (int64_t j = keys.begin; chunk.has_vast_keys && j < end; j++) vast_keys[j] = is_vast_row(s.keys + j * width);
  for (int64_t r = 0; r < tile.rows; r++) {
    const float* row = s.dscores + r * kPitch;
    apart[r] = is_vast_row(s.query + r * width) ||
               row_is_vast(reinterpret_cast<const char*>(row + keys.begin), keys.end - keys.begin);
    for (int64_t j = keys.begin; chunk.has_vast_keys && j < end; j++) apart[r] |= vast_keys[j] && row[j] != 0.0f;
    if (!apart[r]) continue;
    for (int64_t x = keys.begin; x < keys.end; x++) {
      for (int t = 0; t < kMostTerms; t++) {
        s.tiles.dscore_pairs[t * kTilePairs + dscore_pair_at(r, x)] &= r % 2 == 0 ? 0xffff0000u : 0xffffu;
        s.tiles.dscore_rows[t * kTilePairs + dscore_row_at(r, x)] = 0;
      }
    }
  }
}

/** Adds the products of those rows to dK and dQ. Where a tile `is_mixed`, those of a dS of 0 are hidden. */
static inline void add_rows_apart(const BackwardCall& call, const Tile& tile, const Interval& keys, const Scratch& s,
                                  const bool (&apart)[kTileQueries], bool is_mixed) {
  const int64_t width = call.key_width, end = smaller(keys.end, tile.keys);
  for (int64_t r = 0; r < tile.rows; r++) {
    if (!apart[r]) continue;
    for (int64_t j = keys.begin; j < end; j++) {
      const float dscore = s.dscores[r * kPitch + j];
      if (is_mixed && dscore == 0.0f) continue;
      add_row(s.dkey + j * width, s.query + r * width, width, dscore);
      add_row(s.dquery + r * width, s.keys + j * width, width, dscore);
    }
  }
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

#endif

}  // namespace TFXF_ISA
}  // namespace tfxf
