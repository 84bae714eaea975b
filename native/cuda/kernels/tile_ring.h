// SPDX-License-Identifier: Apache-2.0
/**
 * Tiles of queries, keys and values in shared memory, for attention_forward_wgmma.h: where a block is, which of its tiles
 * lies where, the barriers that tell when a tile is there and when it is used, and the one thread that brings them.
 */
#pragma once

#include "cuda/device_hopper.h"
#include "cuda/kernels/attention_rows.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct TileRing {
  static constexpr int kDim = Tiles::kDim, kKeys = Tiles::kKeys, kRows = Tiles::kRows, kStages = Tiles::kStages;
  static constexpr int kOwnerThreads = Tiles::kOwnerThreads, kSlice = 64;

  const AttentionForwardMapsParams& maps;
  const AttentionForwardParams& params;
  const AttentionParams& p;
  unsigned char* const shared;
  /** Where the block is, its first key and its tiles of keys; `done` tiles were before, in `turns` places that had any. */
  Place place;
  int32_t first, tiles, done = 0, turns = 0;

  TFXF_DEVICE explicit TileRing(const AttentionForwardMapsParams& all)
      : maps(all), params(all.call), p(params.common), shared(shared_memory()) {}

  /** Goes to this block's place of a round; whether there is one. */
  TFXF_DEVICE bool enter(int32_t round) {
    const int64_t mine = (round & 1) != 0 ? maps.blocks - 1 - block_index() : block_index();
    const int64_t n = static_cast<int64_t>(round) * maps.blocks + mine;
    if (n >= maps.places) return false;
    place = place_at<kRows>(p, params.together, n);
    const Range keys = part_of(visible_keys(place.sequence.mask, place.row0, end_of(place.row0 + kRows)), kKeys, place.split,
                               p.splits);
    first = keys.begin / kKeys * kKeys;
    tiles = keys.end > keys.begin ? (keys.end - first + kKeys - 1) / kKeys : 0;
    return true;
  }
  TFXF_DEVICE void leave() {
    done += tiles;
    turns += tiles > 0 ? 1 : 0;
  }

  TFXF_DEVICE int32_t end_of(int32_t row) const { return smaller(row, place.sequence.mask.q_length); }
  TFXF_DEVICE int32_t key_of(int n) const { return first + n * kKeys; }
  /** Tile n of this place lies where tile `done` + n of all lies. */
  TFXF_DEVICE int stage_of(int n) const { return static_cast<int>(static_cast<uint32_t>(done + n) % kStages); }
  TFXF_DEVICE int round_of(int n) const { return static_cast<int>(static_cast<uint32_t>(done + n) / kStages & 1); }
  TFXF_DEVICE unsigned char* key_tile(int n) const { return shared + Tiles::kRowsBytes + stage_of(n) * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* value_tile(int n) const { return key_tile(n) + kStages * Tiles::kTileBytes; }
  /** Queries there, keys there, values there; the same used. */
  TFXF_DEVICE SharedBarrier* barrier(int n) const {
    return reinterpret_cast<SharedBarrier*>(shared + Tiles::kTilesBytes) + n;
  }
  static constexpr int kUsed = 1 + 2 * kStages;
  TFXF_DEVICE SharedBarrier* keys_there(int n) const { return barrier(1 + stage_of(n)); }
  TFXF_DEVICE SharedBarrier* values_there(int n) const { return barrier(1 + kStages + stage_of(n)); }
  TFXF_DEVICE SharedBarrier* keys_used(int n) const { return barrier(kUsed + 1 + stage_of(n)); }
  TFXF_DEVICE SharedBarrier* values_used(int n) const { return barrier(kUsed + 1 + kStages + stage_of(n)); }

  TFXF_DEVICE void prepare() const {
    if (thread_index() == 0) {
      for (int n = 0; n < Tiles::kBarriers; n++) barrier_init(barrier(n), n < kUsed ? 1 : kOwnerThreads / 32);
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

  /** One thread: all tiles of a place. */
  TFXF_DEVICE void bring_tiles() const {
    const int32_t head = key_head(p, place), start = place.sequence.k_start;
    barrier_wait(barrier(kUsed), (turns & 1) ^ 1);
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

  TFXF_DEVICE void bring_all() {
    prefetch_map(maps.query);
    prefetch_map(maps.key);
    prefetch_map(maps.value);
#pragma unroll 1
    for (int32_t round = 0; enter(round); round++) {
      if (tiles > 0) bring_tiles();
      leave();
    }
  }

  /** A warp has done with a tile. */
  TFXF_DEVICE static void free_tile(SharedBarrier* used) {
    if (lane_index() == 0) barrier_arrive(used);
  }
};

}  // namespace cuda
}  // namespace tfxf
