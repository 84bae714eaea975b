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
#include "cuda/kernels/slices.h"
#include "cuda/kernels/tile_mend.h"
#include "cuda/kernels/tile_ring.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct AttentionForwardWgmma : TileRing<Tiles> {
  using Ring = TileRing<Tiles>;
  using Ring::barrier, Ring::end_of, Ring::enter, Ring::free_tile, Ring::key_of, Ring::key_tile, Ring::keys_there,
      Ring::keys_used, Ring::leave, Ring::round_of, Ring::value_tile, Ring::values_there, Ring::values_used;
  using Ring::p, Ring::params, Ring::place, Ring::shared, Ring::tiles, Ring::turns;
  using Ring::kDim, Ring::kKeys, Ring::kOwnerThreads, Ring::kRows, Ring::kSlice, Ring::kUsed;
  static constexpr int kGroups = Tiles::kGroups, kTiles = kKeys / 8, kSteps = kKeys / 16;
  /** Barriers of threads: 1 … are the owners' turns. */
  static constexpr int kTurn = 1, kMend = kTurn + kGroups;

  float o[kDim / 8][4], m[2], l[2];
  uint32_t w[kSteps][4];

  TFXF_DEVICE explicit AttentionForwardWgmma(const AttentionForwardMapsParams& all) : Ring(all) {}

  TFXF_DEVICE static int group() { return warp_index() >> 2; }

  TFXF_DEVICE void begin_scores(float (&s)[kTiles][4], int n) const {
    const uint64_t a = matrix_descriptor(shared + 8192 * group(), 16, 1024), b = matrix_descriptor(key_tile(n), 16, 1024);
    group_products_begin();
#pragma unroll
    for (int k = 0; k < kDim; k += 16) {
      const int slice = k / kSlice, within = 2 * (k % kSlice);
      const uint64_t left = a + step_of(128 * kRows * slice + within), right = b + step_of(128 * kKeys * slice + within);
      if (k == 0) {
        multiply_group<false>(s, left, right);
      } else {
        multiply_group<true>(s, left, right);
      }
    }
    group_products_commit();
  }

  TFXF_DEVICE void begin_sums(int n) {
    const uint64_t b = matrix_descriptor(value_tile(n), 128 * kKeys, 1024);
    group_products_begin();
#pragma unroll
    for (int k = 0; k < kSteps; k++) multiply_group(o, w[k], b + step_of(2048 * k));
    group_products_commit();
  }

  /** Whether something of tile n is hidden from a row among row0 <= row < end that exists. */
  TFXF_DEVICE bool hides(int32_t row0, int32_t end, int n) const {
    return !all_visible(place.sequence.mask, row0, end_of(end), key_of(n), key_of(n) + kKeys);
  }

  TFXF_DEVICE int32_t row_of(int e) const {
    return place.row0 + 16 * warp_index() + (lane_index() >> 2) + 8 * e;
  }

  /** Scores of hidden keys become -Infinity. */
  TFXF_DEVICE void hide(float (&s)[kTiles][4], int n) const {
    const TileMask& mask = place.sequence.mask;
    const int32_t j0 = key_of(n) + 2 * (lane_index() & 3);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int32_t low = row_of(e) + mask.low - j0;
      const int32_t high = smaller(row_of(e) + mask.high, mask.k_length - 1) - j0;
#pragma unroll
      for (int t = 0; t < kTiles; t++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          if (8 * t + c < low || 8 * t + c > high) s[t][2 * e + c] = -infinity();
        }
      }
    }
  }

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

  /** The accumulators of two tiles of 8 keys are the A fragment of 16 keys. */
  TFXF_DEVICE void pack(const float (&s)[kTiles][4]) {
#pragma unroll
    for (int k = 0; k < kSteps; k++) {
#pragma unroll
      for (int n = 0; n < 4; n++) {
        const float(&from)[4] = s[2 * k + (n >> 1)];
        w[k][n] = pack_bf16(from[2 * (n & 1)], from[2 * (n & 1) + 1]);
      }
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
    if (!hides(place.row0, place.row0 + kRows, n)) return;
    unsigned char* const tile = value_tile(n);
    barrier_wait(values_there(n), round_of(n));
    const bool odd = finds_odd<BFloat16, kKeys, kDim, kOwnerThreads>(tile);
    if (!group_sync_or(kMend, kOwnerThreads, odd)) return;
    add_odd<kKeys>(
        o, [&](int key, int half) { return packed_weight(w, key, half); },
        [&](int key, int column) { return as_float(slice_element<kKeys>(tile, key, column)); });
    group_sync(kMend, kOwnerThreads);
    clear_odd<BFloat16, kKeys, kDim, kOwnerThreads>(tile);
    publish_shared();
    group_sync(kMend, kOwnerThreads);
  }

  /** Products are begun in turns: 256 threads meet, those whose turn it is and those who pass it on. */
  TFXF_DEVICE void wait_turn() const { group_sync(kTurn + group(), 256); }
  TFXF_DEVICE void pass_turn() const {
    const int next = group() + 1 == kGroups ? 0 : group() + 1;
    group_arrive(kTurn + next, 256);
  }
  /** The weights of tile n, ready to be multiplied. */
  TFXF_DEVICE void weigh_tile(float (&s)[kTiles][4], int n, float (&shrink)[2]) {
    const int32_t row0 = place.row0 + 64 * group();
    if (hides(row0, row0 + 64, n)) hide(s, n);
    weigh(s, shrink);
  }

  /** The scores of tile n are done; those of the last one were the last use of the queries. */
  TFXF_DEVICE void free_keys(int n) const {
    free_tile(keys_used(n));
    if (n + 1 == tiles) free_tile(barrier(kUsed));
  }

  TFXF_DEVICE void attend() {
    float s[kTiles][4], shrink[2];
    barrier_wait(barrier(0), turns & 1);
    barrier_wait(keys_there(0), round_of(0));
    wait_turn();
    begin_scores(s, 0);
    pass_turn();
    group_products_wait<0>();
    settle(s);
    free_keys(0);
    weigh_tile(s, 0, shrink);
    pack(s);
#pragma unroll 1
    for (int n = 1; n < tiles; n++) {
      mend(n - 1);
      barrier_wait(keys_there(n), round_of(n));
      wait_turn();
      begin_scores(s, n);
      barrier_wait(values_there(n - 1), round_of(n - 1));
      begin_sums(n - 1);
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
      free_tile(values_used(n - 1));
      pack(s);
    }
    mend(tiles - 1);
    barrier_wait(values_there(tiles - 1), round_of(tiles - 1));
    begin_sums(tiles - 1);
    group_products_wait<0>();
    settle(o);
    free_tile(values_used(tiles - 1));
  }

  TFXF_DEVICE void finish() const {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const float sum = row_sum(l[e]);
      const bool sees = m[e] != -infinity() || sum != 0.0f;
      const float most = product(product(m[e], p.scale * kLog2E), kLn2);
      const int32_t i = row_of(e);
      finish_row<true>(params, place, {i, place.head, i < place.sequence.mask.q_length}, {most, sum, sees}, o, e);
    }
  }

  TFXF_DEVICE void start() {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      m[e] = -infinity();
      l[e] = 0.0f;
    }
#pragma unroll
    for (int d = 0; d < kDim / 8; d++) {
#pragma unroll
      for (int c = 0; c < 4; c++) o[d][c] = 0.0f;
    }
  }

  /** The first turn is passed to the first owner, who takes the very last one in the end. */
  TFXF_DEVICE void attend_all() {
    if (group() == kGroups - 1) pass_turn();
#pragma unroll 1
    for (int32_t round = 0; enter(round); round++) {
      start();
      if (tiles > 0) attend();
      finish();
      leave();
    }
    if (group() == 0) wait_turn();
  }

  TFXF_DEVICE void run() {
    Ring::prepare();
    if (warp_index() < kOwnerThreads / 32) {
      take_registers<Tiles::kRegistersOfProducts>();
      attend_all();
    } else {
      give_registers<Tiles::kRegistersOfCopies>();
      if (thread_index() == kOwnerThreads) Ring::bring_all();
    }
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_forward_wgmma(const AttentionForwardMapsParams& params) {
  AttentionForwardWgmma<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
