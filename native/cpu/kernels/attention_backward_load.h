// SPDX-License-Identifier: Apache-2.0
/**
 * Brings a chunk's keys and values and a tile's queries and output gradients into a worker's scratch, and makes
 * the scores of the tile from them.
 *
 * Rows of queries that see no key become 0 here, so that nothing of them reaches a gradient.
 */
#pragma once

#include "cpu/kernels/attention_backward_tile.h"

namespace tfxf {
namespace TFXF_ISA {

/** Keys j0 … j0 + keys - 1 of one block, for one batch item and key head. */
struct Chunk {
  MaskBlock block;
  int64_t b, kv_head;
  int64_t j0, keys;
  bool spoilt;         // whether a key is infinite or NaN
  bool has_vast_keys, has_vast_values;  // on tiles, of float32: whether one is_vast
  uint32_t key_rows[kChunkKeys];  // in the key tensor
};

/** Row j of a chunk, of keys or values. */
TFXF_INLINE const char* chunk_row(const HeadsView& view, const Chunk& chunk, int64_t j) {
  return key_address(view, chunk.block, chunk.b, chunk.j0 + j, chunk.kv_head);
}

/** Packs `count` rows into panels of kTileColumns: see Scratch. */
template <typename Address>
TFXF_INLINE void copy_panels(const Address& address, DType dtype, int64_t count, int64_t depth,
                             float* panels) {
  for (int64_t j = 0; j < count; j += kTileColumns) {
    copy_rows_transposed([&](int64_t r) { return address(j + r); }, dtype,
                         smaller(count - j, kTileColumns), depth, panels + j * depth, kTileColumns);
  }
}

/** Copies the keys of a chunk, and finds out whether they are finite and where they lie. */
static inline void load_chunk_keys(const BackwardCall& call, const Scratch& s, Chunk& chunk) {
  const AttentionArgs& args = call.args.common;
  const auto key = [&](int64_t j) { return chunk_row(args.key, chunk, j); };
  chunk.spoilt = copy_rows(key, args.key.dtype, chunk.keys, args.shape.key_dim, s.keys, call.key_width);
  for (int64_t j = 0; j < kChunkKeys; j++) {
    const int64_t row = j < chunk.keys ? key_row(chunk.block, chunk.j0 + j) : 0;
    chunk.key_rows[j] = static_cast<uint32_t>(row);
  }
}

/** All of a chunk that products on registers read. */
static inline void load_chunk(const BackwardCall& call, const Scratch& s, Chunk& chunk) {
  const AttentionArgs& args = call.args.common;
  const auto key = [&](int64_t j) { return chunk_row(args.key, chunk, j); };
  const auto value = [&](int64_t j) { return chunk_row(args.value, chunk, j); };
  load_chunk_keys(call, s, chunk);
  for (int64_t x = 0; x < chunk.keys * call.key_width; x += kWidth) {
    store(s.keys + x, load(s.keys + x) * args.scale);
  }
  copy_panels(key, args.key.dtype, chunk.keys, args.shape.key_dim, s.key_panels);
  copy_panels(value, args.value.dtype, chunk.keys, args.shape.value_dim, s.value_panels);
}

/** Returns whether a query or an output gradient that counts is infinite or NaN. */
static inline bool load_queries(const BackwardCall& call, const Tile& tile, const Scratch& s) {
  const AttentionArgs& args = call.args.common;
  const AttentionShape& shape = args.shape;
  const HeadsView doutput = contiguous_heads(call.args.doutput, DType::kFloat32, shape.queries,
                                             shape.heads, shape.value_dim);
  const auto query_at = [&](int64_t r) {
    return row_address(args.query, tile.b, tile.row(r), tile.head);
  };
  const auto doutput_at = [&](int64_t r) {
    return row_address(doutput, tile.b, tile.row(r), tile.head);
  };
  bool spoilt = copy_rows(query_at, args.query.dtype, tile.rows, shape.key_dim, s.query,
                          call.key_width);
  spoilt |= copy_rows(doutput_at, DType::kFloat32, tile.rows, shape.value_dim, s.doutput,
                      call.value_width);
  const float* lse = call.args.log_sum_exp +
                     (tile.b * shape.heads + tile.head) * shape.queries + tile.row(0);
  for (int64_t r = 0; r < tile.rows; r++) {
    if (lse[r] != kHidden) continue;
    memset(s.query + r * call.key_width, 0, static_cast<size_t>(call.key_width) * sizeof(float));
    memset(s.doutput + r * call.value_width, 0,
           static_cast<size_t>(call.value_width) * sizeof(float));
  }
  return spoilt;
}

/** S and dP of a tile, which are in scratch, become P and dS. */
static inline void finish_scores(const BackwardCall& call, const Tile& tile, const Scratch& s, bool sloped) {
  const AttentionArgs& args = call.args.common;
  if (call.rule.biased) {
    const BiasView& bias = args.bias;
    const int64_t start = tile.b * bias.b + tile.head * bias.h + tile.row(0) * bias.i +
                          static_cast<int64_t>(tile.key_rows[0]) * bias.j;
    copy_bias(bias, {start, bias.i, bias.j}, tile.rows, tile.keys, s.bias, kPitch);
  }
  weigh_tile(call, tile, s, sloped);
}

/** P and dS of a tile whose chunk and queries are loaded. */
static inline void score_tile(const BackwardCall& call, const Tile& tile, const Scratch& s, bool sloped) {
  const AttentionArgs& args = call.args.common;
  multiply_panels(tile, s.query, call.key_width, args.shape.key_dim, s.key_panels, s.weights);
  multiply_panels(tile, s.doutput, call.value_width, args.shape.value_dim, s.value_panels,
                  s.dscores);
  finish_scores(call, tile, s, sloped);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
