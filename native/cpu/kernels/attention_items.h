// SPDX-License-Identifier: Apache-2.0
/**
 * Work items over queries: one for up to `rows` queries of one batch item, query head and mask block. Later queries come
 * first: under a causal mask they have the most keys, and the short items at the end even out the workers.
 */
#pragma once

#include "cpu/kernels/attention_tile.h"

namespace tfxf {
namespace TFXF_ISA {

struct ItemTable {
  /** With blocks: tiles before block b, [num_blocks + 1]. */
  int64_t* tiles_before;
  int64_t rows;
  int64_t tiles;  // of one batch item and head
  int64_t count;
};

struct QueryItem {
  MaskBlock block;
  int64_t b, h;
  int64_t first, count;  // rows of the block
};

TFXF_INLINE int64_t item_table_bytes(const AttentionArgs& args) {
  return divide_up((args.mask.num_blocks + 1) * 8, 64) * 64;
}

/** `memory` has item_table_bytes(). */
static inline ItemTable make_item_table(const AttentionArgs& args, int64_t rows, void* memory) {
  const AttentionShape& shape = args.shape;
  ItemTable table = {static_cast<int64_t*>(memory), rows, divide_up(shape.queries, rows), 0};
  const int64_t blocks = args.mask.num_blocks;
  if (blocks > 0) {
    table.tiles = 0;
    for (int64_t b = 0; b < blocks; b++) {
      table.tiles_before[b] = table.tiles;
      table.tiles += divide_up(args.mask.q_start[b + 1] - args.mask.q_start[b], rows);
    }
    table.tiles_before[blocks] = table.tiles;
  }
  table.count = table.tiles * shape.batch * shape.heads;
  return table;
}

/** The last block whose tiles begin at or before `tile`. */
TFXF_INLINE int64_t block_of_tile(const ItemTable& table, int64_t blocks, int64_t tile) {
  int64_t low = 0, high = blocks;  // tiles_before[low] <= tile < tiles_before[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (table.tiles_before[middle] <= tile) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

static inline QueryItem query_item(const AttentionArgs& args, const ItemTable& table, int64_t index) {
  const AttentionShape& shape = args.shape;
  const int64_t slices = shape.batch * shape.heads;
  const int64_t slice = index % slices;
  int64_t tile = table.tiles - 1 - index / slices;
  int64_t block_index = 0;
  if (args.mask.num_blocks > 0) {
    block_index = block_of_tile(table, args.mask.num_blocks, tile);
    tile -= table.tiles_before[block_index];
  }
  QueryItem item;
  item.block = block_of(args.mask, block_index, shape.queries, shape.keys);
  item.b = slice / shape.heads;
  item.h = slice % shape.heads;
  item.first = tile * table.rows;
  item.count = smaller(table.rows, item.block.q_length - item.first);
  return item;
}

}  // namespace TFXF_ISA
}  // namespace tfxf
