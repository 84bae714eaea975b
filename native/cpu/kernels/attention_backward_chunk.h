// SPDX-License-Identifier: Apache-2.0
/**
 * dQ, dK and dV:
 *
 *     dV = Pᵀ dO      dK = scale * dSᵀ Q      dQ = scale * dS K
 *
 * One work item owns a chunk of keys: its dK and dV grow in the worker's scratch over the tiles of queries that see it,
 * head after head of the group, and are added to the outputs once. The products of a tile run on registers, its S, P, dP
 * and dS stay in the second-level cache, and nothing of the size of queries times keys ever exists.
 *
 * All chunks of a unit add to the same rows of dQ, and must do so in one order to give the same bits each time. So
 * each item tells in `progress` how many of its steps (a step is a tile of one head) are behind it, and adds to the rows
 * of a step only when the chunk before has passed that step. Items are begun in order, so whoever waits
 * waits for an item that runs; and a step that the chunk before does not visit, none before it did, because
 * the keys that a tile sees are an interval. Work goes on with any number of workers and costs no memory.
 */
#pragma once

#include "cpu/kernels/attention_backward_sums.h"
#include "cpu/kernels/attention_backward_tiles.h"

namespace tfxf {
namespace TFXF_ISA {

constexpr int32_t kFinished = 0x7fffffff;

/** Waits until an item has passed a step; null: there is nothing to wait for. */
static inline void wait_for(const int32_t* progress, int32_t step) {
  if (progress == nullptr) return;
  for (int spins = 0; __atomic_load_n(progress, __ATOMIC_ACQUIRE) <= step; spins++) {
    if (spins > 100) give_way();
  }
}

static inline void pass(int32_t* progress, int32_t step) {
  if (progress != nullptr) __atomic_store_n(progress, step, __ATOMIC_RELEASE);
}

/**
 * The products of a tile in which some pairs are hidden and some rows are not finite: pair by pair, because 0 times
 * NaN is not 0. A visible pair with a weight of 0 adds nothing here either way.
 */
static inline void add_pairs(const BackwardCall& call, const Tile& tile, const Scratch& s) {
  const int64_t kw = call.key_width, vw = call.value_width;
  memset(s.dquery, 0, static_cast<size_t>(tile.rows * kw) * sizeof(float));
  for (int64_t r = 0; r < tile.rows; r++) {
    for (int64_t j = 0; j < tile.keys; j++) {
      const float weight = s.weights[r * kPitch + j], dscore = s.dscores[r * kPitch + j];
      if (weight != 0.0f) add_row(s.dvalue + j * vw, s.doutput + r * vw, vw, weight);
      if (dscore == 0.0f) continue;
      add_row(s.dkey + j * kw, s.query + r * kw, kw, dscore);
      add_row(s.dquery + r * kw, s.keys + j * kw, kw, dscore);
    }
  }
}

#if defined(__AMX_BF16__)

/** tile_gradients on AMX tiles; dQ is still to be multiplied by scale. */
static inline void tile_gradients_on_tiles(const BackwardCall& call, const Chunk& chunk, const Tile& tile, bool spoilt,
                                           bool is_mixed, const Scratch& s) {
  const TileSizes size(call.args.common);
  const Interval keys = tile_keys(tile);
  const bool clear = spoilt && is_mixed;
  if (chunk.spoilt) load_key_pairs(call, s.tiles, chunk, clear);
  const bool vast = load_query_tiles(call, tile, s, spoilt, clear, s.tiles) || chunk.has_vast_keys;
  multiply_score_tiles(call, tile, keys, s.tiles, s);
  if (vast || chunk.has_vast_values) mend_scores(call, chunk, tile, keys, s);
  finish_scores(call, tile, s, true);
  bool apart[kTileQueries];
  const bool any_apart = split_score_tiles(size, tile, keys, s, s.tiles) || vast;
  if (any_apart) set_rows_apart(call, chunk, tile, keys, s, apart);
  multiply_gradient_tiles(call, tile, keys, s.tiles, s);
  if (any_apart) add_rows_apart(call, tile, keys, s, apart, is_mixed);
  if (spoilt) add_spoilt_doutput(call, tile, s, is_mixed);
}

#endif

/**
 * One tile: adds to dK and dV in scratch and leaves its dQ there.
 * @returns what dQ is still to be multiplied by.
 */
static inline float tile_gradients(const BackwardCall& call, const Chunk& chunk, const Tile& tile,
                            const Scratch& s) {
  const bool spoilt = load_queries(call, tile, s) || chunk.spoilt;
  const bool is_mixed = call.rule.biased || !all_visible(*tile.mask, *tile.block, tile.i0, tile.i0 + tile.rows, tile.j0,
                                                          tile.j0 + tile.keys);
#if defined(__AMX_BF16__)
  if (uses_tiles(call.args.common)) {
    tile_gradients_on_tiles(call, chunk, tile, spoilt, is_mixed, s);
    return call.args.common.scale;
  }
#endif
  score_tile(call, tile, s, true);
  if (spoilt && is_mixed) {
    add_pairs(call, tile, s);
    return 1.0f;
  }
  add_to_keys(tile, s.weights, s.doutput, call.value_width, s.dvalue);
  add_to_keys(tile, s.dscores, s.query, call.key_width, s.dkey);
  multiply_keys(tile, s.dscores, s.keys, call.key_width, s.dquery);
  return 1.0f;
}

static inline void add_dquery(const BackwardCall& call, const Tile& tile, const Scratch& s, float factor) {
  const AttentionShape& shape = call.args.common.shape;
  for (int64_t r = 0; r < tile.rows; r++) {
    const int64_t row = (tile.b * shape.queries + tile.row(r)) * shape.heads + tile.head;
    add_row(call.args.dquery + row * shape.key_dim, s.dquery + r * call.key_width, shape.key_dim, factor);
  }
}

/** Adds dK, times scale, and dV of the chunk to the outputs. */
static inline void add_key_gradients(const BackwardCall& call, const Chunk& chunk, const Scratch& s) {
  const AttentionArgs& args = call.args.common;
  const AttentionShape& shape = args.shape;
  for (int64_t j = 0; j < chunk.keys; j++) {
    const int64_t row = (chunk.b * shape.keys + chunk.key_rows[j]) * shape.kv_heads + chunk.kv_head;
    add_row(call.args.dkey + row * shape.key_dim, s.dkey + j * call.key_width, shape.key_dim,
            args.scale);
    add_row(call.args.dvalue + row * shape.value_dim, s.dvalue + j * call.value_width,
            shape.value_dim, 1.0f);
  }
}

/** Chunk number n of a block. `before` and `own` are the progress of the chunk before and of this one, or null. */
static inline void chunk_gradients(const BackwardCall& call, const MaskBlock& block, int64_t b,
                            int64_t kv_head, int64_t n, const Scratch& s, const int32_t* before,
                            int32_t* own) {
  const Mask& mask = call.args.common.mask;
  Chunk chunk = {};
  chunk.block = block;
  chunk.b = b;
  chunk.kv_head = kv_head;
  chunk.j0 = n * kChunkKeys;
  chunk.keys = smaller(kChunkKeys, block.k_length - chunk.j0);
  const Interval queries = visible_queries(mask, block, chunk.j0, chunk.j0 + chunk.keys);
  if (queries.end > queries.begin) {
#if defined(__AMX_BF16__)
    const TileScope scope;
    if (uses_tiles(call.args.common)) {
      load_chunk_keys(call, s, chunk);
      load_chunk_tiles(call, s.tiles, chunk);
    } else {
      load_chunk(call, s, chunk);
    }
#else
    load_chunk(call, s, chunk);
#endif
    memset(s.dkey, 0, static_cast<size_t>(chunk.keys * call.key_width) * sizeof(float));
    memset(s.dvalue, 0, static_cast<size_t>(chunk.keys * call.value_width) * sizeof(float));
    const int64_t tiles = divide_up(block.q_length, kTileQueries);
    for (int64_t h = 0; h < call.group; h++) {
      for (int64_t t = queries.begin / kTileQueries; t * kTileQueries < queries.end; t++) {
        const int64_t i0 = larger(t * kTileQueries, queries.begin);
        const int64_t i1 = smaller((t + 1) * kTileQueries, queries.end);
        const Tile tile = {&mask, &block, b, kv_head * call.group + h, i0, i1 - i0, chunk.j0,
                           chunk.keys, chunk.key_rows};
        const int32_t step = static_cast<int32_t>(h * tiles + t);
        pass(own, step);
        const float factor = tile_gradients(call, chunk, tile, s);
        wait_for(before, step);
        add_dquery(call, tile, s, factor);
      }
    }
#if defined(__AMX_BF16__)
    if (uses_tiles(call.args.common)) add_key_gradient_tiles(call, chunk, s.tiles, s);
#endif
    add_key_gradients(call, chunk, s);
  }
  pass(own, kFinished);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
