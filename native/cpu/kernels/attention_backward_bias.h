// SPDX-License-Identifier: Apache-2.0
/**
 * dbias = P * (dP * keep - delta), summed over the axes along which the bias was broadcast. Dense masks only, as a
 * bias comes with no others.
 *
 * The scores are computed again, tile by tile, so that nothing larger than the bias is made. Where the bias has a
 * row for each query, a work item owns kTileQueries rows of it and streams the keys; where not, it owns kChunkKeys
 * columns and streams the queries, and if there are no columns either, its sum goes to `partial` and one pass adds those up.
 * Scores are computed in registers, though logSumExp may come from tiles (attention_forward_tiles.h): their rounding differs.
 * An item goes through the batch items and heads that share its part in order: every sum has one owner and one order.
 */
#pragma once

#include "cpu/kernels/attention_backward_load.h"
#include "cpu/kernels/attention_backward_sums.h"

namespace tfxf {
namespace TFXF_ISA {

/** What shares one [i, j] plane of the bias, and the plane's gradient. */
struct BiasPlane {
  Interval batch, heads;
  float* gradient;
};

TFXF_INLINE Interval sharers(int64_t at, int64_t size, int64_t full) {
  return size == 1 ? Interval{0, full} : Interval{at, at + 1};
}

static BiasPlane bias_plane(const BackwardCall& call, int64_t n) {
  const AttentionShape& shape = call.args.common.shape;
  const int64_t* size = call.args.dbias_shape;
  return {sharers(n / size[1], size[0], shape.batch), sharers(n % size[1], size[1], shape.heads),
          call.args.dbias + n * size[2] * size[3]};
}

/** A chunk of a dense mask, for query head h. */
static void load_dense_chunk(const BackwardCall& call, const Scratch& s, int64_t b, int64_t h,
                             int64_t n, Chunk& chunk) {
  chunk.block = block_of(call.args.common, 0);
  chunk.b = b;
  chunk.kv_head = h / call.group;
  chunk.j0 = n * kChunkKeys;
  chunk.keys = smaller(kChunkKeys, chunk.block.k_length - chunk.j0);
  load_chunk(call, s, chunk);
}

/** Rows t * kTileQueries … of a plane that has a row for each query. */
static void bias_rows(const BackwardCall& call, const BiasPlane& plane, int64_t t, const Scratch& s) {
  const AttentionArgs& args = call.args.common;
  const int64_t columns = call.args.dbias_shape[3];
  const int64_t i0 = t * kTileQueries;
  const int64_t rows = smaller(kTileQueries, args.shape.queries - i0);
  float* gradient = plane.gradient + i0 * columns;
  memset(gradient, 0, static_cast<size_t>(rows * columns) * sizeof(float));
  const Interval keys = visible_keys(args.mask, block_of(args, 0), i0, i0 + rows);
  Chunk chunk;
  for (int64_t b = plane.batch.begin; b < plane.batch.end; b++) {
    for (int64_t h = plane.heads.begin; h < plane.heads.end; h++) {
      for (int64_t n = keys.begin / kChunkKeys; n * kChunkKeys < keys.end; n++) {
        load_dense_chunk(call, s, b, h, n, chunk);
        const Tile tile = {&args.mask, &chunk.block, b, h, i0, rows, chunk.j0, chunk.keys, chunk.key_rows};
        load_queries(call, tile, s);
        score_tile(call, tile, s, false);
        for (int64_t r = 0; r < rows; r++) {
          const float* row = s.dscores + r * kPitch;
          if (columns > 1) {
            add_row(gradient + r * columns + chunk.j0, row, chunk.keys, 1.0f);
          } else {
            gradient[r] += row_sum(row, chunk.keys);
          }
        }
      }
    }
  }
}

/** Adds the rows of dscores to total[kChunkKeys]. */
static void add_columns(const Tile& tile, const float* dscores, float* total) {
  for (int64_t x = 0; x < tile.keys; x += kWidth) {
    Vf sum = load(total + x);
    for (int64_t r = 0; r < tile.rows; r++) sum += load(dscores + r * kPitch + x);
    store(total + x, sum);
  }
}

/** Columns n * kChunkKeys … of a plane of one row, or, if it has one column too, their sum into `partial`. */
static void bias_columns(const BackwardCall& call, const BiasPlane& plane, int64_t n,
                         const Scratch& s, float* partial) {
  const AttentionArgs& args = call.args.common;
  float* total = s.column_sums;
  memset(total, 0, kChunkKeys * sizeof(float));
  Chunk chunk;
  for (int64_t b = plane.batch.begin; b < plane.batch.end; b++) {
    for (int64_t h = plane.heads.begin; h < plane.heads.end; h++) {
      load_dense_chunk(call, s, b, h, n, chunk);
      const Interval queries =
          visible_queries(args.mask, chunk.block, chunk.j0, chunk.j0 + chunk.keys);
      for (int64_t i = queries.begin; i < queries.end; i += kTileQueries) {
        const Tile tile = {&args.mask, &chunk.block, b, h, i, smaller(kTileQueries, queries.end - i),
                           chunk.j0, chunk.keys, chunk.key_rows};
        load_queries(call, tile, s);
        score_tile(call, tile, s, false);
        add_columns(tile, s.dscores, total);
      }
    }
  }
  const int64_t keys = smaller(kChunkKeys, args.shape.keys - n * kChunkKeys);
  if (call.args.dbias_shape[3] > 1) {
    memcpy(plane.gradient + n * kChunkKeys, total, static_cast<size_t>(keys) * sizeof(float));
  } else {
    *partial = row_sum(total, keys);
  }
}

static void compute_dbias(const BackwardCall& call, const Parallel& parallel) {
  const AttentionShape& shape = call.args.common.shape;
  const int64_t* size = call.args.dbias_shape;
  const int64_t planes = size[0] * size[1];
  if (planes * size[2] * size[3] == 0) return;
  if (size[2] > 1) {
    const int64_t tiles = divide_up(shape.queries, kTileQueries);
    parallel_for(parallel, planes * tiles, [&](int64_t item, int worker) {
      bias_rows(call, bias_plane(call, item / tiles), item % tiles, scratch_of(call, worker));
    });
    return;
  }
  const int64_t chunks = divide_up(shape.keys, kChunkKeys);
  parallel_for(parallel, planes * chunks, [&](int64_t item, int worker) {
    bias_columns(call, bias_plane(call, item / chunks), item % chunks, scratch_of(call, worker),
                 call.partial + item);
  });
  if (size[3] != 1) return;
  for (int64_t n = 0; n < planes; n++) {
    float sum = 0.0f;
    for (int64_t c = 0; c < chunks; c++) sum += call.partial[n * chunks + c];
    call.args.dbias[n] = sum;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
