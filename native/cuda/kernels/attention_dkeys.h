// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward: dK and dV. A block owns a tile of rows of the key tensor, of one key head; K and V stay in shared
 * memory, tiles of Q and dO that see any of these keys are streamed: for each query head of the group, for each block of
 * the mask that holds some of the keys, from the first query to the last. So all that reaches a key is added up in
 * registers of one block in a fixed order, also where several blocks of a mask share keys.
 *
 * Products are transposed against dQ's: scores are K Q^T, with a row for each key.
 *
 * Paged keys may lie in several blocks at different places: there a block of the grid owns keys of one block of the mask,
 * and writes to a row for each (block, key), which attention_page_sums adds up.
 *
 * kParts: 1 = dK, 2 = dV, 3 = both. At 256 columns the sums of both do not fit in registers: two launches.
 */
#pragma once

#include "cuda/kernels/attention_backward_rows.h"

namespace tfxf {
namespace cuda {

/** Which tile of queries comes next. */
struct QueryTiles {
  int32_t head, last_head;
  int32_t block;
  int32_t i0, end;  // queries of the block
  Sequence sequence;
};

template <typename Tiles, int kParts>
struct AttentionDKeys {
  using T = typename Tiles::Element;
  static constexpr int kN = Tiles::kN, kDim = Tiles::kDim, kThreads = Tiles::kThreads;
  static constexpr int kRows = Tiles::kRows, kQueries = Tiles::kStreamed;
  static constexpr bool kKey = (kParts & 1) != 0, kValue = (kParts & 2) != 0;

  const AttentionBackwardParams& params;
  const AttentionParams& p;
  unsigned char *const key_tile, *const value_tile, *const streamed;
  int32_t batch, head, j0;  // j0: row of the key tensor, or, paged, key of the block
  int32_t paged_block;      // -1 where not paged
  float dkey[1][kKey ? kDim / 8 : 1][4], dvalue[1][kValue ? kDim / 8 : 1][4];

  TFXF_DEVICE explicit AttentionDKeys(const AttentionBackwardParams& all)
      : params(all),
        p(all.common),
        key_tile(shared_memory()),
        value_tile(key_tile + Tiles::kRowsBytes),
        streamed(value_tile + Tiles::kRowsBytes) {
    int64_t rest = block_index();
    const int32_t tile = static_cast<int32_t>(rest % p.tiles);
    rest /= p.tiles;
    head = static_cast<int32_t>(rest % p.kv_heads);
    batch = static_cast<int32_t>(rest / p.kv_heads);
    const MaskParams& mask = p.mask;
    paged_block = mask.page_size > 0 ? mask.tiles[2 * tile] : -1;
    j0 = paged_block >= 0 ? mask.tiles[2 * tile + 1] : tile * kRows;
  }

  TFXF_DEVICE unsigned char* query_tile(int stage) const { return streamed + 2 * stage * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* doutput_tile(int stage) const { return query_tile(stage) + Tiles::kTileBytes; }
  TFXF_DEVICE int32_t key_of(int e) const { return 16 * warp_index() + (lane_index() >> 2) + 8 * e; }

  TFXF_DEVICE int32_t keys_here() const {
    return paged_block >= 0 ? p.mask.k_length[paged_block] : p.keys;
  }
  TFXF_DEVICE int32_t row_of(int32_t r) const {
    return paged_block >= 0 ? key_row(sequence_of(p, paged_block), j0 + r) : j0 + r;
  }

  TFXF_DEVICE void load_keys() const {
    const auto from = [&](const HeadsParams& heads) {
      return [&](int r) {
        const bool there = j0 + r < keys_here();
        return row_or_null<T>(heads, batch, there ? row_of(r) : 0, head, there);
      };
    };
    load_tile<T, kRows, kDim, kThreads>(key_tile, p.key, from(p.key));
    load_tile<T, kRows, kDim, kThreads>(value_tile, p.value, from(p.value));
  }

  /** Key of the sequence in row 0 of the tile; may be negative. */
  TFXF_DEVICE int32_t first_key(const Sequence& sequence) const { return paged_block >= 0 ? j0 : j0 - sequence.k_start; }

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
  TFXF_DEVICE int32_t first_block() const {
    if (paged_block >= 0) return paged_block;
    const int32_t blocks = p.mask.num_blocks;
    return blocks > 0 ? smaller(first_above(p.mask.keys_to, blocks, j0), blocks - 1) : 0;
  }
  TFXF_DEVICE int32_t last_block() const {
    if (paged_block >= 0) return paged_block;
    return p.mask.num_blocks > 0 ? first_above(p.mask.keys_from, p.mask.num_blocks, j0 + kRows - 1) - 1 : 0;
  }

  TFXF_DEVICE QueryTiles first_queries() const {
    const int32_t group = p.heads / p.kv_heads;
    QueryTiles q;
    q.head = head * group;
    q.block = first_block();
    q.last_head = q.head + group - 1;
    enter_block(q);
    settle(q);
    return q;
  }

  TFXF_DEVICE bool is_there(const QueryTiles& q) const { return q.head <= q.last_head; }

  /** Goes on to the next block or head until there are queries. */
  TFXF_DEVICE void settle(QueryTiles& q) const {
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

  TFXF_DEVICE QueryTiles after(QueryTiles q) const {
    q.i0 += kQueries;
    settle(q);
    return q;
  }

  TFXF_DEVICE void load_queries(int stage, const QueryTiles& q) const {
    const auto from = [&](const HeadsParams& heads) {
      return [&](int r) {
        const bool there = q.i0 + r < q.sequence.mask.q_length;
        return row_or_null<T>(heads, batch, q.sequence.q_start + q.i0 + r, q.head, there);
      };
    };
    load_tile<T, kQueries, kDim, kThreads>(query_tile(stage), p.query, from(p.query));
    load_tile<T, kQueries, kDim, kThreads>(doutput_tile(stage), params.doutput, from(params.doutput));
  }

  TFXF_DEVICE void add_queries(int stage, const QueryTiles& q) {
    const TileMask& mask = q.sequence.mask;
    const int32_t first = first_key(q.sequence);
    const bool some_hidden = first < 0 || !all_visible(mask, q.i0, q.i0 + kQueries, first, first + kRows);
    float s[1][kN][4], dweight[1][kN][4];
    clear(s);
    clear(dweight);
    scores<kDim>(T(), s, key_tile, 16 * warp_index(), query_tile(stage));
    scores<kDim>(T(), dweight, value_tile, 16 * warp_index(), doutput_tile(stage));
    const int t = lane_index() & 3;
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int32_t i = q.i0 + 8 * n + 2 * t + c;
        const BackwardQuery query =
            backward_query(params, batch, q.head, q.sequence.q_start + i, i < mask.q_length);
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int32_t j = first + key_of(e);
          float &x = s[0][n][2 * e + c], &y = dweight[0][n][2 * e + c];
          if (some_hidden && !(i < mask.q_length && j >= 0 && visible(mask, i, j))) {
            x = y = 0.0f;
          } else {
            const int32_t row = needs_key_row(p) ? row_of(key_of(e)) : 0;
            const BackwardCell cell = backward_cell(p, query, x, y, row);
            x = cell.ds == 0.0f ? 0.0f : cell.ds * cell.slope;
            y = cell.kept;
          }
        }
      }
    }
    const bool mends = some_hidden || p.bias.kind != 0;
    if constexpr (kKey) {
      if (mends) mend_tile<T, kDim, kThreads>(dkey, s, query_tile(stage));
      accumulate<kDim>(T(), dkey, s, query_tile(stage));
    }
    if constexpr (kValue) {
      if (mends) mend_tile<T, kDim, kThreads>(dvalue, dweight, doutput_tile(stage));
      accumulate<kDim>(T(), dvalue, dweight, doutput_tile(stage));
    }
  }

  TFXF_DEVICE void write() const {
    const auto to = [&](int e) -> int64_t {
      const int32_t r = key_of(e);
      if (j0 + r >= keys_here()) return -1;
      const int64_t before = paged_block >= 0 ? p.mask.key_offset[paged_block] : static_cast<int64_t>(batch) * p.keys;
      return (before + j0 + r) * p.kv_heads + head;
    };
    if constexpr (kKey) store_rows<kDim>(params.dkey, dkey[0], p.key.dim, p.scale, to);
    if constexpr (kValue) store_rows<kDim>(params.dvalue, dvalue[0], p.value.dim, 1.0f, to);
  }

  TFXF_DEVICE void run() {
    clear(dkey);
    clear(dvalue);
    load_keys();
    stream_tiles<Tiles::kStages>(
        first_queries(), [&](const QueryTiles& q) { return is_there(q); }, [&](const QueryTiles& q) { return after(q); },
        [&](int stage, const QueryTiles& q) { load_queries(stage, q); },
        [&](int stage, const QueryTiles& q) { add_queries(stage, q); });
    write();
  }
};

template <typename Tiles, int kParts>
TFXF_DEVICE void attention_dkeys(const AttentionBackwardParams& params) {
  AttentionDKeys<Tiles, kParts>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
