// SPDX-License-Identifier: Apache-2.0
/**
 * Brings a chunk's keys and values, and a tile's queries, output gradients, weights and dS into the forms of TileScratch.
 *
 * Of two terms that stand beside bfloat16 the second is 0 where the first is infinite. Products of three terms that are vast
 * (is_vast) may be NaN where they should be infinite; those are taken again, or apart (attention_backward_tile_mend.h).
 */
#pragma once

#include "cpu/kernels/attention_backward_load.h"

namespace tfxf {
namespace TFXF_ISA {

#if defined(__AMX_BF16__)

template <int kTerms>
static inline void load_key_pairs_of(const BackwardCall& call, const TileScratch& s, const Chunk& chunk, bool clear) {
  const AttentionArgs& args = call.args.common;
  const TileSizes size(args);
  const auto key = [&](int64_t j) { return chunk_row(args.key, chunk, j); };
  for (int64_t j = 0; j < kChunkKeys; j += 2) {
    for (int64_t d = 0; d < size.key_columns; d += kWidth) {
      const auto columns = [&](int64_t r) {
        const Vf v = r < chunk.keys ? load_columns(key(r), args.key.dtype, d, args.shape.key_dim) : Vf{};
        return clear ? (non_finite(v) ? Vf{} : v) : v;
      };
      uint32_t* out = s.key_pairs + d * (kChunkKeys / 2) + j / 2 * kTileSide;
      store_split_pair<kTerms>(out, size.key_pair_term(), columns(j), columns(j + 1));
    }
  }
}

/** Pairs of keys, for dQ; with `clear`, what is not finite becomes 0. */
static inline void load_key_pairs(const BackwardCall& call, const TileScratch& s, const Chunk& chunk, bool clear) {
  if (input_terms(call.args.common) == 1) {
    load_key_pairs_of<1>(call, s, chunk, clear);
  } else {
    load_key_pairs_of<kMostTerms>(call, s, chunk, clear);
  }
}

/** The keys and values of a chunk; dK and dV are 0. */
static inline void load_chunk_tiles(const BackwardCall& call, const TileScratch& s, Chunk& chunk) {
  const AttentionArgs& args = call.args.common;
  const TileSizes size(args);
  const auto key = [&](int64_t j) { return chunk_row(args.key, chunk, j); };
  const auto value = [&](int64_t j) { return chunk_row(args.value, chunk, j); };
  load_key_pairs(call, s, chunk, false);
  if (size.input_terms == 1) {
    copy_transposed_tiles<1>(key, chunk.keys, args.shape.key_dim, size.key_term(), s.keys_b);
    copy_transposed_tiles<1>(value, chunk.keys, args.shape.value_dim, size.value_term(), s.values_b);
  } else {
    copy_transposed_tiles<kMostTerms>(key, chunk.keys, args.shape.key_dim, size.key_term(), s.keys_b);
    copy_transposed_tiles<kMostTerms>(value, chunk.keys, args.shape.value_dim, size.value_term(), s.values_b);
    for (int64_t j = 0; j < chunk.keys; j++) {
      chunk.has_vast_keys |= row_is_vast(key(j), args.shape.key_dim);
      chunk.has_vast_values |= row_is_vast(value(j), args.shape.value_dim);
    }
  }
  memset(s.dkey, 0, static_cast<size_t>(kChunkKeys * size.key_columns) * sizeof(float));
  memset(s.dvalue, 0, static_cast<size_t>(kChunkKeys * size.value_columns) * sizeof(float));
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
 * The terms of kTileQueries rows as A has them, of which there are `count`; `width` floats lie from one to the next.
 * @returns whether a row of three terms is_vast.
 */
template <int kTerms>
static inline bool split_rows(const float* rows, int64_t count, int64_t width, int64_t words, int64_t term, uint32_t* out) {
  Vi vast = {};
  for (int64_t r = 0; r < kTileQueries; r++) {
    const auto columns = [&](int64_t d) { return r < count && d < width ? load(rows + r * width + d) : Vf{}; };
    for (int64_t w = 0; w < words; w += kTileSide) {
      const Vf low = columns(2 * w), high = columns(2 * w + kWidth);
      if (kTerms == kMostTerms) vast |= is_vast(low) | is_vast(high);
      Vu terms[kTerms];
      split_columns(low, high, terms);
      if (kTerms == 2) terms[1] = rest_beside(terms[0], terms[1]);
      for (int t = 0; t < kTerms; t++) store_words(out + t * term + w * kTileQueries + r * kTileSide, terms[t]);
    }
  }
  return any_lane(vast);
}

/**
 * The queries and output gradients of a tile, from where load_queries left them; some are not finite if `spoilt`. With `clear`,
 * those of queries are 0 where they are multiplied with dS, which is 0 for hidden pairs; those of output gradients always are
 * where they are multiplied with P (see add_spoilt_doutput).
 * @returns whether some of three terms is_vast.
 */
static inline bool load_query_tiles(const BackwardCall& call, const Tile& tile, const Scratch& from, bool spoilt,
                                    bool clear, const TileScratch& s) {
  const TileSizes size(call.args.common);
  const int64_t row_term = size.query_row_term(), doutput_term = size.doutput_row_term();
  bool vast = false;
  if (size.input_terms == 1) {
    split_rows<1>(from.query, tile.rows, size.key_columns, size.key_words, row_term, s.query_rows);
    split_rows<2>(from.doutput, tile.rows, size.value_columns, size.value_words, doutput_term, s.doutput_rows);
  } else {
    vast = split_rows<kMostTerms>(from.query, tile.rows, size.key_columns, size.key_words, row_term, s.query_rows);
    vast |= split_rows<kMostTerms>(from.doutput, tile.rows, size.value_columns, size.value_words, doutput_term, s.doutput_rows);
  }
  for (int t = 0; t < size.input_terms; t++) {
    transpose_tile_rows(s.query_rows + t * row_term, size.key_columns, clear, s.query_columns + t * size.query_column_term());
  }
  for (int t = 0; t < size.computed_terms; t++) {
    transpose_tile_rows(s.doutput_rows + t * doutput_term, size.value_columns, spoilt,
                        s.doutput_columns + t * size.doutput_column_term());
  }
  return vast;
}

/** Whole tiles of the chunk's keys, with all that some query of the tile sees: `begin` is a multiple of kTileDepth. */
TFXF_INLINE Interval tile_keys(const Tile& tile) {
  const Interval seen = seen_keys(tile, 0, tile.rows);
  return {seen.begin / kTileDepth * kTileDepth, whole_vectors(seen.end)};
}

/** Where the terms of dS of row r and lane x begin in TileScratch, as dscore_pairs and dscore_rows. */
TFXF_INLINE int64_t dscore_pair_at(int64_t r, int64_t x) {
  return x / kTileSide * (kTileQueries / 2 * kTileSide) + r / 2 * kTileSide + x % kTileSide;
}
TFXF_INLINE int64_t dscore_row_at(int64_t r, int64_t x) {
  return x / kTileDepth * (kTileQueries * kTileSide) + r * kTileSide + x % kTileDepth / 2;
}

template <int kTerms>
static inline bool split_scores_of(const Tile& tile, const Interval& keys, const Scratch& from, const TileScratch& s) {
  Vi vast = {};
  for (int64_t r = 0; r < divide_up(tile.rows, kTileDepth) * kTileDepth; r += 2) {
    const auto at = [&](const float* rows, int64_t x, int64_t row) TFXF_ALWAYS_INLINE {
      return row < tile.rows && x < keys.end ? load(rows + row * kPitch + x) : Vf{};
    };
    for (int64_t x = keys.begin; x < keys.end; x += kTileDepth) {
      Vf dscores[2][2];
      for (int half = 0; half < 2; half++) {
        const int64_t lane = x + half * kWidth;
        for (int y = 0; y < 2; y++) {
          dscores[y][half] = at(from.dscores, lane, r + y);
          if (kTerms == kMostTerms) vast |= is_vast(dscores[y][half]);
        }
        if (lane >= keys.end) continue;
        const int64_t pair = dscore_pair_at(r, lane);
        store_split_pair<kTerms>(s.weight_pairs + pair, kTilePairs, at(from.weights, lane, r),
                                       at(from.weights, lane, r + 1));
        Vf even = dscores[0][half], odd = dscores[1][half];
        if (kTerms == kMostTerms) {
          store_split_pair<kTerms>(s.dscore_pairs + pair, kTilePairs, even, odd);
        } else {
          const Vu leading = take_pair<false>(even, odd);
          store_words(s.dscore_pairs + pair, leading);
          store_words(s.dscore_pairs + pair + kTilePairs, rest_beside(leading, rounded_pairs(even, odd)));
        }
      }
      for (int y = 0; y < 2; y++) {
        Vu terms[kTerms];
        split_columns(dscores[y][0], dscores[y][1], terms);
        if (kTerms == 2) terms[1] = rest_beside(terms[0], terms[1]);
        uint32_t* row = s.dscore_rows + dscore_row_at(r + y, x);
        for (int t = 0; t < kTerms; t++) store_words(row + t * kTilePairs, terms[t]);
      }
    }
  }
  return any_lane(vast);
}

/**
 * P and dS of `keys` as their products read them, from Scratch; 0 past the tile's rows and keys, up to whole tiles.
 * @returns whether some dS of three terms is_vast.
 */
static inline bool split_score_tiles(const TileSizes& size, const Tile& tile, const Interval& keys, const Scratch& from,
                                     const TileScratch& s) {
  return (size.computed_terms == 2 ? split_scores_of<2> : split_scores_of<kMostTerms>)(tile, keys, from, s);
}

#endif

}  // namespace TFXF_ISA
}  // namespace tfxf
