// SPDX-License-Identifier: Apache-2.0
/**
 * What a block of dK and dV owns: a tile of rows of the key tensor, of one key head. And which tiles of queries reach it:
 * for each query head of the group, for each block of the mask that holds some of the keys, from the first query that
 * sees any of them to the last. So all that reaches a key is added up in registers of one block in a fixed order, also
 * where several blocks of a mask share keys.
 *
 * Paged keys may lie in several blocks at different places: there a block of the grid owns keys of one block of the mask,
 * and writes to a row for each (block, key), which attention_page_sums adds up.
 *
 * Tiles of keys run from the first to the last: under a causal mask the first are seen by the most queries. p.together
 * heads begin with their first tiles before any of them begins with its second.
 */
#pragma once

#include "cuda/kernels/attention_rows.h"

namespace tfxf {
namespace cuda {

/** Which tile of queries comes next. */
struct QueryTiles {
  int32_t head, last_head;
  int32_t block;
  int32_t i0, end;  // queries of the block
  Sequence sequence;
};

/** kKeepsBlocks: which blocks of the mask matter is kept, where there are registers for it, not looked up at each one's end. */
template <int kRows, int kQueries, bool kKeepsBlocks>
struct KeyPlace {
  const AttentionParams& p;
  int32_t batch, head, j0;  // j0: row of the key tensor, or, paged, key of the block
  int32_t paged_block;      // -1 where not paged
  int32_t first_kept, last_kept;

  TFXF_DEVICE explicit KeyPlace(const AttentionParams& params) : p(params) {
    int64_t rest = block_index();
    head = static_cast<int32_t>(rest % p.together);
    rest /= p.together;
    const int32_t tile = static_cast<int32_t>(rest % p.tiles), sections = p.kv_heads / p.together;
    rest /= p.tiles;
    head += static_cast<int32_t>(rest % sections) * p.together;
    batch = static_cast<int32_t>(rest / sections);
    const MaskParams& mask = p.mask;
    paged_block = mask.page_size > 0 ? mask.tiles[2 * tile] : -1;
    j0 = paged_block >= 0 ? mask.tiles[2 * tile + 1] : tile * kRows;
    first_kept = find_first_block();
    last_kept = find_last_block();
  }

  TFXF_DEVICE int32_t keys_here() const {
    return paged_block >= 0 ? p.mask.k_length[paged_block] : p.keys;
  }
  /** The row of the key tensor of row r of the tile. */
  TFXF_DEVICE int32_t row_of(int32_t r) const {
    return paged_block >= 0 ? key_row(sequence_of(p, paged_block), j0 + r) : j0 + r;
  }
  /** Where its gradient goes, or -1. */
  TFXF_DEVICE int64_t gradient_row(int32_t r) const {
    if (j0 + r >= keys_here()) return -1;
    const int64_t before = paged_block >= 0 ? p.mask.key_offset[paged_block] : static_cast<int64_t>(batch) * p.keys;
    return (before + j0 + r) * p.kv_heads + head;
  }

  /** Key of the sequence in row 0 of the tile; may be negative. */
  TFXF_DEVICE int32_t first_key(const Sequence& sequence) const { return paged_block >= 0 ? j0 : j0 - sequence.k_start; }

  /** Whether something of a tile is hidden: a key from a query, or what is no key or query of its block. */
  TFXF_DEVICE bool hides(const QueryTiles& q) const {
    const int32_t first = first_key(q.sequence);
    return first < 0 || !all_visible(q.sequence.mask, q.i0, q.i0 + kQueries, first, first + kRows);
  }

  TFXF_DEVICE QueryTiles first_queries() const {
    const int32_t group = p.heads / p.kv_heads;
    QueryTiles q;
    q.head = head * group;
    q.block = first_block();
    q.last_head = q.head + group - 1;
    enter_block(q);
    skip_empty(q);
    return q;
  }
  TFXF_DEVICE bool is_there(const QueryTiles& q) const { return q.head <= q.last_head; }
  TFXF_DEVICE QueryTiles after(QueryTiles q) const {
    q.i0 += kQueries;
    skip_empty(q);
    return q;
  }

 private:
  /** The queries of block q.block that see some of the keys. */
  TFXF_DEVICE void enter_block(QueryTiles& q) const {
    q.sequence = sequence_of(p, q.block);
    const int32_t first = first_key(q.sequence);
    const int32_t begin = larger(first, 0), end = smaller(first + kRows, q.sequence.mask.k_length);
    Range queries = {0, 0};
    if (begin < end) queries = visible_queries(q.sequence.mask, begin, end);
    q.i0 = queries.begin / kQueries * kQueries;
    q.end = queries.end;
  }

  /** Of the blocks that may hold some of the keys; where none does, the last is before the first, or that holds none. */
  TFXF_DEVICE int32_t find_first_block() const {
    if (paged_block >= 0) return paged_block;
    const int32_t blocks = p.mask.num_blocks;
    return blocks > 0 ? smaller(first_above(p.mask.keys_to, blocks, j0), blocks - 1) : 0;
  }
  TFXF_DEVICE int32_t find_last_block() const {
    if (paged_block >= 0) return paged_block;
    return p.mask.num_blocks > 0 ? first_above(p.mask.keys_from, p.mask.num_blocks, j0 + kRows - 1) - 1 : 0;
  }
  TFXF_DEVICE int32_t first_block() const { return kKeepsBlocks ? first_kept : find_first_block(); }
  TFXF_DEVICE int32_t last_block() const { return kKeepsBlocks ? last_kept : find_last_block(); }

  /** Goes on to the next block or head until there are queries. */
  TFXF_DEVICE void skip_empty(QueryTiles& q) const {
    while (q.i0 >= q.end && q.head <= q.last_head) {
      if (q.block < last_block()) {
        q.block++;
      } else {
        q.block = first_block();
        q.head++;
      }
      if (q.head <= q.last_head) enter_block(q);
    }
  }
};

}  // namespace cuda
}  // namespace tfxf
