// SPDX-License-Identifier: Apache-2.0
/**
 * What all parts of attention backward know: the call, how it is cut into chunks, and its workspace.
 *
 * A chunk is kChunkKeys keys of one block. Its work items, one for each batch item and key head (a "unit"), are
 * numbered chunk after chunk, so that neighbours in time belong to different units.
 */
#pragma once

#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/attention_backward_tile_scratch.h"
#include "cpu/kernels/attention_scores.h"

namespace tfxf {
namespace TFXF_ISA {

static_assert(kChunkKeys % kTileColumns == 0, "a chunk is whole panels");
/** Floats from one row of a tile to the next; not a power of two, which would put a column into a few sets of the cache. */
constexpr int64_t kPitch = kChunkKeys + 16;

/** The tiles of one worker; key_width and value_width are whole vectors. */
struct Scratch {
  float* key_panels;    // transposed keys: panels of kTileColumns keys, [key_dim][kTileColumns] each
  float* value_panels;  // likewise
  float* keys;          // [kChunkKeys][key_width], times scale unless uses_tiles
  float* dkey;          // [kChunkKeys][key_width]
  float* dvalue;        // [kChunkKeys][value_width]
  float* query;         // [kTileQueries][key_width]
  float* doutput;       // [kTileQueries][value_width]
  float* dquery;        // [kTileQueries][key_width]
  float* weights;       // [kTileQueries][kPitch]: S, then P (with dropout)
  float* dscores;       // [kTileQueries][kPitch]: dP, then dS
  float* bias;          // [kTileQueries][kPitch]
  float* column_sums;   // [kChunkKeys]
#if defined(__AMX_BF16__)
  TileScratch tiles;  // where uses_tiles
#endif
};

struct BackwardCall {
  const AttentionBackwardArgs& args;
  ScoreRule rule;
  int64_t group;  // query heads of a key head
  int64_t units;  // batch items times key heads
  int64_t key_width, value_width;
  float* delta;  // [B, H, Mq], see attention_backward_rows.h
  int64_t* first_chunk;  // [blocks + 1]: chunks before each block; unless blocks share keys, as progress
  int32_t* progress;     // [items]: see attention_backward_chunk.h
  float* partial;        // see attention_backward_bias.h
  char* scratch;         // scratch_bytes for each worker
  int64_t scratch_bytes;
};

static int64_t chunks_of(const MaskBlock& block) { return divide_up(block.k_length, kChunkKeys); }

static MaskBlock block_of(const AttentionArgs& args, int64_t b) {
  return block_of(args.mask, b, args.shape.queries, args.shape.keys);
}

static int64_t count_chunks(const AttentionArgs& args) {
  int64_t chunks = 0;
  for (int64_t b = 0; b < block_count(args.mask); b++) chunks += chunks_of(block_of(args, b));
  return chunks;
}

/** Whether two blocks may use the same row of keys, so that their gradients meet in one row. */
static inline bool shares_keys(const AttentionArgs& args) {
  const Mask& mask = args.mask;
  if (mask.page_size > 0) return true;
  for (int64_t b = 1; b < mask.num_blocks; b++) {
    if (mask.k_start[b] < mask.k_start[b - 1] + mask.k_length[b - 1]) return true;
  }
  return false;
}

/** Gives out parts of a stretch of memory, each at a multiple of 64 bytes; without a base, only counts. */
struct Carver {
  char* base;
  int64_t used = 0;
  template <typename T>
  void take(T*& part, int64_t count) {
    part = base == nullptr ? nullptr : reinterpret_cast<T*>(base + used);
    used += divide_up(count * static_cast<int64_t>(sizeof(T)), 64) * 64;
  }
};

static Scratch carve_scratch(const BackwardCall& call, Carver& carver) {
  const AttentionShape& shape = call.args.common.shape;
  Scratch s;
  carver.take(s.key_panels, kChunkKeys * shape.key_dim);
  carver.take(s.value_panels, kChunkKeys * shape.value_dim);
  carver.take(s.keys, kChunkKeys * call.key_width);
  carver.take(s.dkey, kChunkKeys * call.key_width);
  carver.take(s.dvalue, kChunkKeys * call.value_width);
  carver.take(s.query, kTileQueries * call.key_width);
  carver.take(s.doutput, kTileQueries * call.value_width);
  carver.take(s.dquery, kTileQueries * call.key_width);
  carver.take(s.weights, kTileQueries * kPitch);
  carver.take(s.dscores, kTileQueries * kPitch);
  carver.take(s.bias, call.rule.biased ? kTileQueries * kPitch : 0);
  carver.take(s.column_sums, kChunkKeys);
#if defined(__AMX_BF16__)
  s.tiles = uses_tiles(call.args.common) ? carve_tile_scratch(call.args.common, carver) : TileScratch{};
#endif
  return s;
}

static Scratch scratch_of(const BackwardCall& call, int worker) {
  Carver carver = {call.scratch + worker * call.scratch_bytes};
  return carve_scratch(call, carver);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
