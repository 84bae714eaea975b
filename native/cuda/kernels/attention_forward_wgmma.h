// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, forward, for sm_90a: bfloat16 without bias, softcap, dropout or paging. The scheme of attention_forward.h
 * with the tensor cores at their full rate:
 *
 * - The last warpgroup brings tiles with the copy engine: Q once, then keys and values into rings of kStages places. The
 *   others own 64 query rows each, and tell it by barriers which places are free.
 * - While an owner weighs the scores of a tile, its product of the weights before with their values runs, and so do the
 *   products of the other owners: they take turns to start products, so that one weighs while another multiplies.
 * - Weights go from accumulators to the A operand as they stand, in registers, rounded to bfloat16.
 * - A block goes from one tile of queries to the next, a multiprocessor's share of them: the next ones' loads begin while
 *   results are written. Every other round the blocks take theirs in reverse, so that all get long and short ones.
 * - Only tiles that a row of the block sees are loaded; only those with something hidden are masked and looked through
 *   for NaN (tile_mend.h).
 *
 * Softmax: p = exp2(dot * unit - m * unit) with unit = scale * log2 e, one operation and the exponential for a score; m is
 * the highest dot product so far, and the product m * unit that all of a row's weights refer to is rounded once.
 *
 * Source: FlashAttention-3 (Shah et al., 2024) for the scheme, the PTX ISA for layouts and barriers.
 */
#pragma once

#include "cuda/kernels/attention_output.h"
#include "cuda/kernels/group_products.h"
#include "cuda/kernels/query_places.h"

namespace tfxf {
namespace cuda {

TFXF_DEVICE void prefetch_maps(const AttentionForwardMapsParams& maps) {
  prefetch_map(maps.query);
  prefetch_map(maps.key);
  prefetch_map(maps.value);
}

template <typename Tiles>
struct AttentionForwardWgmma : QueryPlaces<Tiles> {
  using Places = QueryPlaces<Tiles>;
  using Places::done, Places::hide, Places::hides_from_block, Places::hides_from_group, Places::p, Places::place,
      Places::row_of, Places::tiles, Places::turns;
  using Places::free_tile, Places::group, Places::held, Places::held_there, Places::held_used, Places::kDim,
      Places::kKeys, Places::kOwnerThreads, Places::kRows, Places::streamed, Places::used, Places::wait_for;
  static constexpr int kGroups = Tiles::kGroups, kTiles = kKeys / 8, kSteps = kKeys / 16;
  /** Rings of tiles. */
  static constexpr int kKeyRing = 0, kValueRing = 1;
  /** Barriers of threads: 1 … are the owners' turns. */
  static constexpr int kTurn = 1, kMend = kTurn + kGroups;

  const AttentionForwardMapsParams& maps;
  float o[kDim / 8][4], m[2], l[2];
  uint32_t w[kSteps][4];

  TFXF_DEVICE explicit AttentionForwardWgmma(const AttentionForwardMapsParams& all)
      : Places(all.call.common, all.places), maps(all) {}

  TFXF_DEVICE unsigned char* value_tile(int n) const { return streamed(kValueRing, done + n); }

  /** From scores to weights, in float32; m and l are brought up to date. What is summed in o is to shrink by `shrink`. */
  TFXF_DEVICE void weigh(float (&s)[kTiles][4], float (&shrink)[2]) {
    const float unit = p.scale * kLog2E;
#pragma unroll
    for (int e = 0; e < 2; e++) {
      float most = s[0][2 * e];
#pragma unroll
      for (int t = 0; t < kTiles; t++) most = fmaxf(most, fmaxf(s[t][2 * e], s[t][2 * e + 1]));
      const float before = product(m[e], unit);
      m[e] = fmaxf(m[e], row_max(most));
      const float base = m[e] == -infinity() ? 0.0f : product(m[e], unit);
      shrink[e] = power_of_two(difference(before, base));
      float sum = 0.0f;
#pragma unroll
      for (int t = 0; t < kTiles; t++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          float& x = s[t][2 * e + c];
          x = power_of_two(multiply_add(x, unit, -base));
          sum += x;
        }
      }
      l[e] = l[e] * shrink[e] + sum;
    }
  }

  /** Most maxima stay, and then nothing shrinks. */
  TFXF_DEVICE void shrink_sums(const float (&shrink)[2]) {
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int c = 0; c < 4; c++) o[d][c] *= shrink[c >> 1];
    }
  }

  /**
   * Where something of tile n is hidden from some row of the block, all owners look its values through together, before
   * any of them multiplies by it. None waits for another's turn meanwhile: the turns up to tile n - 1 are over or free.
   */
  TFXF_DEVICE void mend(int n) {
    if (!hides_from_block(n)) return;
    wait_for(kValueRing, done + n);
    mend_slices<kDim, kOwnerThreads>(kMend, o, w, value_tile(n));
  }

  /** Products are begun in turns: 256 threads meet, those whose turn it is and those who pass it on. */
  TFXF_DEVICE void wait_turn() const { group_sync(kTurn + group(), 256); }
  TFXF_DEVICE void pass_turn() const {
    const int next = group() + 1 == kGroups ? 0 : group() + 1;
    group_arrive(kTurn + next, 256);
  }
  /** The weights of tile n, ready to be multiplied. */
  TFXF_DEVICE void weigh_tile(float (&s)[kTiles][4], int n, float (&shrink)[2]) {
    if (hides_from_group(n)) hide(s, n, -infinity());
    weigh(s, shrink);
  }

  TFXF_DEVICE void begin_scores_of(float (&s)[kTiles][4], int n) const {
    begin_scores<kDim, kRows>(s, held(0), streamed(kKeyRing, done + n));
  }

  /** The scores of tile n are done; those of the last one were the last use of the queries. */
  TFXF_DEVICE void free_keys(int n) const {
    free_tile(used(kKeyRing, done + n));
    if (n + 1 == tiles) free_tile(held_used());
  }

  TFXF_DEVICE void attend() {
    float s[kTiles][4], shrink[2];
    barrier_wait(held_there(), turns & 1);
    wait_for(kKeyRing, done);
    wait_turn();
    begin_scores_of(s, 0);
    pass_turn();
    group_products_wait<0>();
    settle(s);
    free_keys(0);
    weigh_tile(s, 0, shrink);
    pack(w, s);
#pragma unroll 1
    for (int n = 1; n < tiles; n++) {
      mend(n - 1);
      wait_for(kKeyRing, done + n);
      wait_turn();
      begin_scores_of(s, n);
      wait_for(kValueRing, done + n - 1);
      begin_sums(o, w, value_tile(n - 1));
      pass_turn();
      group_products_wait<1>();
      settle(s);
      free_keys(n);
      weigh_tile(s, n, shrink);
      if (any_lane(shrink[0] != 1.0f || shrink[1] != 1.0f || !(l[0] + l[1] >= 0.0f))) {
        group_products_wait<0>();
        settle(o);
        shrink_sums(shrink);
      } else {
        group_products_wait<0>();
        settle(o);
      }
      free_tile(used(kValueRing, done + n - 1));
      pack(w, s);
    }
    mend(tiles - 1);
    wait_for(kValueRing, done + tiles - 1);
    begin_sums(o, w, value_tile(tiles - 1));
    group_products_wait<0>();
    settle(o);
    free_tile(used(kValueRing, done + tiles - 1));
  }

  TFXF_DEVICE void finish() const {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const float sum = row_sum(l[e]);
      const bool sees = m[e] != -infinity() || sum != 0.0f;
      const float most = product(product(m[e], p.scale * kLog2E), kLn2);
      const int32_t i = row_of(e);
      finish_row<true>(maps.call, place, {i, place.head, i < place.sequence.mask.q_length}, {most, sum, sees}, o, e);
    }
  }

  TFXF_DEVICE void start() {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      m[e] = -infinity();
      l[e] = 0.0f;
    }
    clear(o);
  }

  /** The first turn is passed to the first owner, who takes the very last one in the end. */
  TFXF_DEVICE void attend_all() {
    if (group() == kGroups - 1) pass_turn();
    Places::visit_places([&] {
      start();
      if (tiles > 0) attend();
      finish();
    });
    if (group() == 0) wait_turn();
  }

  /** One thread: all tiles of a place. */
  TFXF_DEVICE void bring_tiles() const {
    barrier_wait(held_used(), (turns & 1) ^ 1);
    barrier_expect(held_there(), Tiles::kRowsBytes);
    Places::bring_queries(maps.query, 0);
    for (int n = 0; n <= tiles; n++) {
      if (n < tiles) Places::bring_keys(maps.key, kKeyRing, n);
      // The values of a tile are wanted when the next one's scores have begun.
      if (n > 0) Places::bring_keys(maps.value, kValueRing, n - 1);
    }
  }

  TFXF_DEVICE void run() {
    Places::run(maps, [&] { attend_all(); }, [&] { bring_tiles(); });
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_forward_wgmma(const AttentionForwardMapsParams& params) {
  AttentionForwardWgmma<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
