// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward, for sm_90a: dQ, of what attention_forward_wgmma.h serves. A block goes from one tile of queries to
 * the next (query_places.h); Q and dO stay, K and V come into rings of kStages places.
 *
 * An owner has for its 64 rows and a tile of keys the scores S = Q K^T and dP = dO V^T, from them dS in bfloat16, and adds
 * dS K to dQ. In its queue of products dQ of a tile is followed by S and dP of the next one, so that dP runs while S
 * becomes weights; what is left is filled by the other owner, which is free to be anywhere else in its loop.
 */
#pragma once

#include "cuda/kernels/attention_backward_groups.h"
#include "cuda/kernels/query_places.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct AttentionDQueryWgmma : QueryPlaces<Tiles> {
  using Places = QueryPlaces<Tiles>;
  using Places::done, Places::p, Places::place, Places::row_of, Places::tiles, Places::turns;
  using Places::free_tile, Places::held, Places::held_there, Places::held_used, Places::kDim, Places::kKeys,
      Places::kOwnerThreads, Places::kRows, Places::streamed, Places::used, Places::wait_for;
  static constexpr int kTiles = kKeys / 8, kSteps = kKeys / 16, kMend = 1;
  /** Rings of tiles. */
  static constexpr int kKeyRing = 0, kValueRing = 1;

  const AttentionBackwardMapsParams& maps;
  float dquery[kDim / 8][4], base[2], delta[2];
  uint32_t ds[kSteps][4];

  TFXF_DEVICE explicit AttentionDQueryWgmma(const AttentionBackwardMapsParams& all)
      : Places(all.call.common, all.places), maps(all) {}

  TFXF_DEVICE unsigned char* key_tile(int n) const { return streamed(kKeyRing, done + n); }
  TFXF_DEVICE unsigned char* value_tile(int n) const { return streamed(kValueRing, done + n); }

  TFXF_DEVICE void start() {
    clear(dquery);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const BackwardQuery query = backward_query(maps.call, place.batch, place.head, place.sequence.q_start + row_of(e),
                                                 row_of(e) < place.sequence.mask.q_length);
      base[e] = base_of(query);
      delta[e] = query.delta;
    }
  }

  /**
   * The products of tile n are done one after the other; `ds` is there then. What is hidden is made zero before dP is
   * waited for, too: the branch keeps the compiler from waiting before the exponentials.
   */
  TFXF_DEVICE void weigh(float (&s)[kTiles][4], float (&dp)[kTiles][4], int n) {
    const float unit = p.scale * kLog2E;
    const bool hides = Places::hides_from_group(n);
    group_products_wait<1>();
    settle(s);
#pragma unroll
    for (int t = 0; t < kTiles; t++) {
#pragma unroll
      for (int c = 0; c < 4; c++) s[t][c] = weight_of(s[t][c], unit, base[c >> 1]);
    }
    if (hides) Places::hide(s, n, 0.0f);
    group_products_wait<0>();
    settle(dp);
    free_tile(used(kValueRing, done + n));
#pragma unroll
    for (int t = 0; t < kTiles; t++) {
#pragma unroll
      for (int c = 0; c < 4; c++) s[t][c] *= dp[t][c] - delta[c >> 1];
    }
    if (hides) Places::hide(s, n, 0.0f);
    pack(ds, s);
    if (Places::hides_from_block(n)) mend_slices<kDim, kOwnerThreads>(kMend, dquery, ds, key_tile(n));
  }

  TFXF_DEVICE void begin_products(float (&s)[kTiles][4], int n) const {
    wait_for(kKeyRing, done + n);
    begin_scores<kDim, kRows>(s, held(0), key_tile(n));
  }
  TFXF_DEVICE void begin_dweights(float (&dp)[kTiles][4], int n) const {
    wait_for(kValueRing, done + n);
    begin_scores<kDim, kRows>(dp, held(1), value_tile(n));
  }

  TFXF_DEVICE void attend() {
    float s[kTiles][4], dp[kTiles][4];
    barrier_wait(held_there(), turns & 1);
    begin_products(s, 0);
    begin_dweights(dp, 0);
    weigh(s, dp, 0);
#pragma unroll 1
    for (int n = 1; n < tiles; n++) {
      begin_sums(dquery, ds, key_tile(n - 1));
      begin_products(s, n);
      group_products_wait<1>();
      settle(dquery);
      free_tile(used(kKeyRing, done + n - 1));
      begin_dweights(dp, n);
      weigh(s, dp, n);
    }
    free_tile(held_used());
    begin_sums(dquery, ds, key_tile(tiles - 1));
    group_products_wait<0>();
    settle(dquery);
    free_tile(used(kKeyRing, done + tiles - 1));
  }

  TFXF_DEVICE void attend_all() {
    Places::visit_places([&] {
      start();
      if (tiles > 0) attend();
      store_rows<kDim>(maps.call.dquery, dquery, p.query.dim, p.scale, [&](int e) -> int64_t {
        const int32_t i = row_of(e);
        if (i >= place.sequence.mask.q_length) return -1;
        return (static_cast<int64_t>(place.batch) * p.queries + place.sequence.q_start + i) * p.heads + place.head;
      });
    });
  }

  /** One thread: all tiles of a place. */
  TFXF_DEVICE void bring_tiles() const {
    barrier_wait(held_used(), (turns & 1) ^ 1);
    barrier_expect(held_there(), 2 * Tiles::kRowsBytes);
    Places::bring_queries(maps.query, 0);
    Places::bring_queries(maps.doutput, 1);
    for (int n = 0; n < tiles; n++) {
      Places::bring_keys(maps.value, kValueRing, n);  // its place is free before that of the keys
      Places::bring_keys(maps.key, kKeyRing, n);
    }
  }

  TFXF_DEVICE void run() {
    Places::run(maps, [&] { attend_all(); }, [&] { bring_tiles(); });
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_dquery_wgmma(const AttentionBackwardMapsParams& params) {
  AttentionDQueryWgmma<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
