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
 * - Only tiles that a row of the block sees are loaded; only those with something hidden are masked and looked through
 *   for NaN (tile_mend.h).
 *
 * Softmax: p = exp2(dot * unit - m * unit) with unit = scale * log2 e, one operation and the exponential for a score; m is
 * the highest dot product so far, and the product m * unit that all of a row's weights refer to is rounded once.
 *
 * Source: FlashAttention-3 (Shah et al., 2024) for the scheme, the PTX ISA for layouts and barriers.
 */
#pragma once

#include "cuda/device_hopper.h"
#include "cuda/kernels/attention_output.h"
#include "cuda/kernels/slices.h"
#include "cuda/kernels/tile_mend.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct AttentionForwardWgmma {
  static constexpr int kDim = Tiles::kDim, kKeys = Tiles::kKeys, kRows = Tiles::kRows, kStages = Tiles::kStages;
  static constexpr int kGroups = Tiles::kGroups, kOwnerThreads = Tiles::kOwnerThreads;
  static constexpr int kTiles = kKeys / 8, kSteps = kKeys / 16, kSlice = 64;
  /** Barriers of threads: 1 … are the owners' turns. */
  static constexpr int kTurn = 1, kMend = kTurn + kGroups;

  const AttentionForwardMapsParams& maps;
  const AttentionForwardParams& params;
  const AttentionParams& p;
  const Place place;
  unsigned char* const shared;
  int32_t first, tiles;
  float o[kDim / 8][4], m[2], l[2];
  uint32_t w[kSteps][4];

  TFXF_DEVICE explicit AttentionForwardWgmma(const AttentionForwardMapsParams& all)
      : maps(all),
        params(all.call),
        p(params.common),
        place(place_of<kRows>(p, params.together)),
        shared(shared_memory()) {
    const Range keys = part_of(visible_keys(place.sequence.mask, place.row0, end_of(place.row0 + kRows)), kKeys, place.split,
                               p.splits);
    first = keys.begin / kKeys * kKeys;
    tiles = keys.end > keys.begin ? (keys.end - first + kKeys - 1) / kKeys : 0;
  }

  TFXF_DEVICE int32_t end_of(int32_t row) const { return smaller(row, place.sequence.mask.q_length); }
  TFXF_DEVICE int32_t key_of(int n) const { return first + n * kKeys; }
  TFXF_DEVICE int group() const { return warp_index() >> 2; }

  TFXF_DEVICE unsigned char* key_tile(int n) const { return shared + Tiles::kRowsBytes + n % kStages * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* value_tile(int n) const { return key_tile(n) + kStages * Tiles::kTileBytes; }
  /** Of the queries; then of each place: keys there, keys used, values there, values used. */
  TFXF_DEVICE SharedBarrier* barrier(int n) const {
    return reinterpret_cast<SharedBarrier*>(shared + Tiles::kTilesBytes) + n;
  }
  TFXF_DEVICE SharedBarrier* keys_there(int n) const { return barrier(1 + n % kStages); }
  TFXF_DEVICE SharedBarrier* keys_used(int n) const { return barrier(1 + kStages + n % kStages); }
  TFXF_DEVICE SharedBarrier* values_there(int n) const { return barrier(1 + 2 * kStages + n % kStages); }
  TFXF_DEVICE SharedBarrier* values_used(int n) const { return barrier(1 + 3 * kStages + n % kStages); }
  TFXF_DEVICE static int round_of(int n) { return n / kStages & 1; }

  TFXF_DEVICE void prepare() const {
    if (thread_index() == 0) {
      for (int n = 0; n < Tiles::kBarriers; n++) {
        const bool counts_copies = n <= kStages || (n > 2 * kStages && n <= 3 * kStages);
        barrier_init(barrier(n), counts_copies ? 1 : kOwnerThreads / 32);
      }
      barrier_init_done();
    }
    sync_threads();
  }

  /** One thread: the slices of a tile, whose bytes `barrier` counts. */
  template <int kTileRows>
  TFXF_DEVICE static void bring(unsigned char* tile, const TensorMap& map, SharedBarrier* barrier, int row, int head,
                                int batch) {
    barrier_expect(barrier, 2 * kTileRows * kDim);
#pragma unroll
    for (int column = 0; column < kDim; column += kSlice) {
      tile_copy(tile + 2 * kTileRows * column, map, barrier, column, row, head, batch);
    }
  }

  TFXF_DEVICE void bring_all() const {
    prefetch_map(maps.query);
    prefetch_map(maps.key);
    prefetch_map(maps.value);
    const int32_t head = key_head(p, place), start = place.sequence.k_start;
    bring<kRows>(shared, maps.query, barrier(0), place.sequence.q_start + place.row0, place.head, place.batch);
    for (int n = 0; n <= tiles; n++) {
      if (n < tiles) {
        barrier_wait(keys_used(n), round_of(n) ^ 1);
        bring<kKeys>(key_tile(n), maps.key, keys_there(n), start + key_of(n), head, place.batch);
      }
      if (n > 0) {  // the values of a tile are wanted when the next one's scores have begun
        barrier_wait(values_used(n - 1), round_of(n - 1) ^ 1);
        bring<kKeys>(value_tile(n - 1), maps.value, values_there(n - 1), start + key_of(n - 1), head, place.batch);
      }
    }
  }

  /** A warp has done with a tile. */
  TFXF_DEVICE static void free_tile(SharedBarrier* used) {
    if (lane_index() == 0) barrier_arrive(used);
  }

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
  /** The very last one is passed to nobody. */
  TFXF_DEVICE void end_turn(int n) const {
    if (group() != kGroups - 1 || n + 1 < tiles) pass_turn();
  }

  /** The weights of tile n, ready to be multiplied. */
  TFXF_DEVICE void weigh_tile(float (&s)[kTiles][4], int n, float (&shrink)[2]) {
    const int32_t row0 = place.row0 + 64 * group();
    if (hides(row0, row0 + 64, n)) hide(s, n);
    weigh(s, shrink);
  }

  TFXF_DEVICE void attend() {
    float s[kTiles][4], shrink[2];
    if (group() == kGroups - 1) pass_turn();
    barrier_wait(barrier(0), 0);
    barrier_wait(keys_there(0), 0);
    wait_turn();
    begin_scores(s, 0);
    end_turn(0);
    group_products_wait<0>();
    settle(s);
    free_tile(keys_used(0));
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
      end_turn(n);
      group_products_wait<1>();
      settle(s);
      free_tile(keys_used(n));
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
  }

  TFXF_DEVICE void finish() const {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const float sum = row_sum(l[e]);
      const bool sees = m[e] != -infinity() || sum != 0.0f;
      const float most = product(product(m[e], p.scale * kLog2E), kLn2);
      const int32_t i = row_of(e);
      finish_row(params, place, {i, place.head, i < place.sequence.mask.q_length}, {most, sum, sees}, o, e);
    }
  }

  TFXF_DEVICE void run() {
    prepare();
    if (warp_index() >= kOwnerThreads / 32) {
      give_registers<Tiles::kRegistersOfCopies>();
      if (thread_index() == kOwnerThreads && tiles > 0) bring_all();
      return;
    }
    take_registers<Tiles::kRegistersOfProducts>();
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
    if (tiles > 0) attend();
    finish();
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_forward_wgmma(const AttentionForwardMapsParams& params) {
  AttentionForwardWgmma<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
