// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward, for sm_90a: dK and dV, of what attention_forward_wgmma.h serves. A block owns a tile of 128 keys
 * (query_tiles.h), whose K and V stay; Q and dO come as one tile each into rings of kStages places. One warp brings them,
 * and writes beside each pair what the owners need to know of it: two numbers a query, and what of it is hidden.
 *
 * An owner has for its 64 keys and a tile of queries the transposed scores S = K Q^T and dP = V dO^T, from them P and dS in
 * bfloat16, in the registers of the A operand, and adds P dO to dV and dS Q to dK. In its queue of products those of a tile
 * are followed by S and dP of the next one, so that dP runs while S becomes weights; what is left is filled by the other
 * owner, which is free to be anywhere else in its loop.
 *
 * kParts: 1 = dK, 2 = dV, 3 = both. At 256 columns the sums of both do not fit in registers: two launches.
 */
#pragma once

#include "cuda/kernels/attention_backward_groups.h"
#include "cuda/kernels/query_tiles.h"
#include "cuda/kernels/tile_ring.h"

namespace tfxf {
namespace cuda {

/** What is written beside a tile of queries: this, then the base of every query (base_of), then its delta. */
struct QueryTileNotes {
  enum Kind : int32_t { kEnd, kAllVisible, kHides };
  int32_t kind;
  /** Of a tile that hides something: row r sees column c where low <= c - r <= high, rows <= r < rows_end, c < columns. */
  int32_t low, high, rows, rows_end, columns;
};

template <typename Tiles, int kParts>
struct AttentionDKeysWgmma : TileRing<Tiles> {
  using Ring = TileRing<Tiles>;
  using Ring::free_tile, Ring::held, Ring::held_there, Ring::kDim, Ring::kOwnerThreads, Ring::kRows, Ring::notes,
      Ring::streamed, Ring::there, Ring::used, Ring::wait_for;
  static constexpr int kQueries = Tiles::kStreamed, kTiles = kQueries / 8, kSteps = kQueries / 16, kMend = 1;
  static constexpr int kEach = (kQueries + 31) / 32;
  static constexpr bool kKey = (kParts & 1) != 0, kValue = (kParts & 2) != 0;
  static_assert(Ring::kStages >= 2, "the next tile is waited for before the last one's place is given back");
  static_assert(Tiles::kNotesBytes == 32 + 8 * kQueries && sizeof(QueryTileNotes) <= 32, "notes have 32 bytes and sums");

  const AttentionBackwardMapsParams& maps;
  const AttentionParams& p;
  const KeyPlace<kRows, kQueries, true> place;
  float dkey[kKey ? kDim / 8 : 1][4], dvalue[kValue ? kDim / 8 : 1][4];
  uint32_t weights[kSteps][4], ds[kSteps][4];

  TFXF_DEVICE explicit AttentionDKeysWgmma(const AttentionBackwardMapsParams& all)
      : maps(all), p(all.call.common), place(all.call.common) {}

  TFXF_DEVICE unsigned char* query_tile(int n) const { return streamed(0, n); }
  TFXF_DEVICE unsigned char* doutput_tile(int n) const { return streamed(1, n); }
  TFXF_DEVICE QueryTileNotes& notes_of(int n) const { return *reinterpret_cast<QueryTileNotes*>(notes(n)); }
  TFXF_DEVICE float* bases(int n) const { return reinterpret_cast<float*>(notes(n) + 32); }
  TFXF_DEVICE float* deltas(int n) const { return bases(n) + kQueries; }

  TFXF_DEVICE static int32_t key_of(int e) { return 16 * warp_index() + (lane_index() >> 2) + 8 * e; }
  /** Column of an accumulator, of those of its lane. */
  TFXF_DEVICE static int column_of(int t, int c) { return 8 * t + 2 * (lane_index() & 3) + (c & 1); }

  TFXF_DEVICE void hide(float (&x)[kTiles][4], int n) const {
    const QueryTileNotes& tile = notes_of(n);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int32_t r = key_of(e);
      const bool some = r >= tile.rows && r < tile.rows_end;
      keep_columns(x, e, tile.low + r, some ? smaller(tile.high + r, tile.columns - 1) : -1, 0.0f);
    }
  }

  /**
   * The products of tile n are done one after the other; `weights` and `ds` are there then. What is hidden is made zero
   * before dP is waited for, too: the branch keeps the compiler from waiting before the exponentials.
   */
  TFXF_DEVICE void weigh(float (&s)[kTiles][4], float (&dp)[kKey ? kTiles : 1][4], int n) {
    const float unit = p.scale * kLog2E;
    const bool hides = notes_of(n).kind == QueryTileNotes::kHides;
    group_products_wait<kKey ? 1 : 0>();
    settle(s);
#pragma unroll
    for (int t = 0; t < kTiles; t++) {
#pragma unroll
      for (int c = 0; c < 4; c++) s[t][c] = weight_of(s[t][c], unit, bases(n)[column_of(t, c)]);
    }
    if (hides) hide(s, n);
    if constexpr (kKey) {
      group_products_wait<0>();
      settle(dp);
#pragma unroll
      for (int t = 0; t < kTiles; t++) {
#pragma unroll
        for (int c = 0; c < 4; c++) dp[t][c] = s[t][c] * (dp[t][c] - deltas(n)[column_of(t, c)]);
      }
      if (hides) hide(dp, n);
      pack(ds, dp);
    }
    if constexpr (kValue) pack(weights, s);
    if (hides) mend(n);
  }

  TFXF_DEVICE void mend(int n) {
    if constexpr (kValue) mend_slices<kDim, kOwnerThreads>(kMend, dvalue, weights, doutput_tile(n));
    if constexpr (kKey) mend_slices<kDim, kOwnerThreads>(kMend, dkey, ds, query_tile(n));
  }

  TFXF_DEVICE void begin_dweights(float (&dp)[kKey ? kTiles : 1][4], int n) const {
    if constexpr (kKey) begin_scores<kDim, kRows>(dp, held(1), doutput_tile(n));
  }

  TFXF_DEVICE void begin_all_sums(int n) {
    if constexpr (kValue) begin_sums(dvalue, weights, doutput_tile(n));
    if constexpr (kKey) begin_sums(dkey, ds, query_tile(n));
  }
  TFXF_DEVICE void settle_sums() {
    if constexpr (kKey) settle(dkey);
    if constexpr (kValue) settle(dvalue);
  }

  /** Waits for tile n, or to be told that there is none. */
  TFXF_DEVICE bool is_there(int n) const {
    wait_for(0, n);
    return notes_of(n).kind != QueryTileNotes::kEnd;
  }

  TFXF_DEVICE void attend() {
    float s[kTiles][4], dp[kKey ? kTiles : 1][4];
    barrier_wait(held_there(), 0);
    begin_scores<kDim, kRows>(s, held(0), query_tile(0));
    begin_dweights(dp, 0);
    weigh(s, dp, 0);
    int n = 0;
#pragma unroll 1
    for (; is_there(n + 1); n++) {
      begin_all_sums(n);
      begin_scores<kDim, kRows>(s, held(0), query_tile(n + 1));
      group_products_wait<1>();
      settle_sums();
      free_tile(used(0, n));
      begin_dweights(dp, n + 1);
      weigh(s, dp, n + 1);
    }
    begin_all_sums(n);
    group_products_wait<0>();
    settle_sums();
  }

  TFXF_DEVICE void own() {
    clear(dkey);
    clear(dvalue);
    if (is_there(0)) attend();
    const auto to = [&](int e) { return place.gradient_row(key_of(e)); };
    if constexpr (kKey) store_rows<kDim>(maps.call.dkey, dkey, p.key.dim, p.scale, to);
    if constexpr (kValue) store_rows<kDim>(maps.call.dvalue, dvalue, p.value.dim, 1.0f, to);
  }

  /** One thread: K, and V where it is used. */
  TFXF_DEVICE void bring_held() const {
    barrier_expect(held_there(), (kKey ? 2 : 1) * Tiles::kRowsBytes);
    Ring::template bring<kRows>(held(0), maps.key, held_there(), place.j0, place.head, place.batch);
    if (kKey) Ring::template bring<kRows>(held(1), maps.value, held_there(), place.j0, place.head, place.batch);
  }

  /** One thread: tile n, as of all. */
  TFXF_DEVICE void bring_queries(int n, const QueryTiles& q) const {
    const int32_t row = q.sequence.q_start + q.i0;
    barrier_expect(there(0, n), 2 * Tiles::kTileBytes);
    Ring::template bring<kQueries>(query_tile(n), maps.query, there(0, n), row, q.head, place.batch);
    Ring::template bring<kQueries>(doutput_tile(n), maps.doutput, there(0, n), row, q.head, place.batch);
  }

  /** One warp; `queries` are those of the lane, one of 32. */
  TFXF_DEVICE void note(int n, const QueryTiles& q, const BackwardQuery (&queries)[kEach]) const {
    const TileMask& mask = q.sequence.mask;
#pragma unroll
    for (int k = 0; k < kEach; k++) {
      const int at = 32 * k + lane_index();
      if (at >= kQueries) continue;
      bases(n)[at] = base_of(queries[k]);
      deltas(n)[at] = queries[k].delta;
    }
    if (lane_index() != 0) return;
    const int32_t first = place.first_key(q.sequence);
    notes_of(n) = {place.hides(q) ? QueryTileNotes::kHides : QueryTileNotes::kAllVisible,
                   first - mask.high - q.i0,
                   first - mask.low - q.i0,
                   -first,
                   mask.k_length - first,
                   mask.q_length - q.i0};
  }

  /** One warp: the tiles, and after the last a place that says so. */
  TFXF_DEVICE void bring_all() const {
    const bool copies = lane_index() == 0;
    QueryTiles q = place.first_queries();
    if (copies) prefetch_maps(maps);
    if (copies && place.is_there(q)) bring_held();
    int n = 0;
#pragma unroll 1
    for (; place.is_there(q); n++) {
      BackwardQuery queries[kEach];  // on their way while there is no room
#pragma unroll
      for (int k = 0; k < kEach; k++) {
        const int32_t i = q.i0 + 32 * k + lane_index();
        const bool exists = 32 * k + lane_index() < kQueries && i < q.sequence.mask.q_length;
        queries[k] = backward_query(maps.call, place.batch, q.head, q.sequence.q_start + i, exists);
      }
      Ring::wait_until_free(0, n);
      if (copies) bring_queries(n, q);
      note(n, q, queries);
      barrier_arrive(there(0, n));
      q = place.after(q);
    }
    Ring::wait_until_free(0, n);
    if (copies) {
      notes_of(n).kind = QueryTileNotes::kEnd;
      barrier_arrive(there(0, n));
    }
    barrier_arrive(there(0, n));
  }

  TFXF_DEVICE void run() {
    Ring::prepare(32);
    if (Ring::owns()) {
      take_registers<Tiles::kRegistersOfProducts>();
      own();
    } else {
      give_registers<Tiles::kRegistersOfCopies>();
      if (warp_index() == kOwnerThreads / 32) bring_all();
    }
  }
};

template <typename Tiles, int kParts>
TFXF_DEVICE void attention_dkeys_wgmma(const AttentionBackwardMapsParams& params) {
  AttentionDKeysWgmma<Tiles, kParts>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
