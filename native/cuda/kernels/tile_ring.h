// SPDX-License-Identifier: Apache-2.0
/**
 * The shared memory of the kernels of warpgroups: tiles of a block's own rows that stay, two rings of tiles that are
 * streamed, and the barriers that tell when a tile is there and when it is used. One warpgroup brings, the others own
 * rows and multiply. Streamed tiles are counted from the block's first to its last: tile n is in place n % kStages.
 */
#pragma once

#include "cuda/device_hopper.h"
#include "cuda/shapes.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct TileRing {
  static constexpr int kDim = Tiles::kDim, kRows = Tiles::kRows, kStreamed = Tiles::kStreamed, kStages = Tiles::kStages;
  static constexpr int kOwnerThreads = Tiles::kOwnerThreads, kSlice = 64;

  unsigned char* const shared = shared_memory();

  TFXF_DEVICE static int group() { return warp_index() >> 2; }
  TFXF_DEVICE static bool owns() { return warp_index() < kOwnerThreads / 32; }
  TFXF_DEVICE static int stage_of(int n) { return static_cast<int>(static_cast<uint32_t>(n) % kStages); }
  TFXF_DEVICE static int round_of(int n) { return static_cast<int>(static_cast<uint32_t>(n) / kStages & 1); }

  TFXF_DEVICE unsigned char* held(int k) const { return shared + k * Tiles::kRowsBytes; }
  TFXF_DEVICE unsigned char* streamed(int ring, int n) const {
    return held(Tiles::kHeld) + (ring * kStages + stage_of(n)) * Tiles::kTileBytes;
  }
  /** What is written beside the tiles of a place. */
  TFXF_DEVICE unsigned char* notes(int n) const {
    return shared + Tiles::kTilesBytes + stage_of(n) * Tiles::kNotesBytes;
  }

  /** What is held is there, tiles are there; the same used. With one ring of barriers it tells of both rings of tiles. */
  static constexpr int kUsed = 1 + Tiles::kRings * kStages;
  TFXF_DEVICE SharedBarrier* barrier(int n) const {
    return reinterpret_cast<SharedBarrier*>(shared + Tiles::kTilesBytes + kStages * Tiles::kNotesBytes) + n;
  }
  TFXF_DEVICE SharedBarrier* held_there() const { return barrier(0); }
  TFXF_DEVICE SharedBarrier* held_used() const { return barrier(kUsed); }
  TFXF_DEVICE SharedBarrier* there(int ring, int n) const { return barrier(1 + ring * kStages + stage_of(n)); }
  TFXF_DEVICE SharedBarrier* used(int ring, int n) const { return barrier(kUsed + 1 + ring * kStages + stage_of(n)); }

  /** By all threads. `writers` of them write notes for each place, and arrive when they have. */
  TFXF_DEVICE void prepare(int writers) const {
    if (thread_index() == 0) {
      for (int n = 0; n < Tiles::kBarriers; n++) {
        barrier_init(barrier(n), n >= kUsed ? kOwnerThreads / 32 : n == 0 ? 1 : 1 + writers);
      }
      barrier_init_done();
    }
    sync_threads();
  }

  /** One thread: the slices of a tile, whose bytes `barrier` counts. */
  template <int kTileRows>
  TFXF_DEVICE static void bring(unsigned char* tile, const TensorMap& map, SharedBarrier* barrier, int row, int head,
                                int batch) {
#pragma unroll
    for (int column = 0; column < kDim; column += kSlice) {
      tile_copy(tile + 2 * kTileRows * column, map, barrier, column, row, head, batch);
    }
  }

  /** Until the tile is there, or free. */
  TFXF_DEVICE void wait_for(int ring, int n) const { barrier_wait(there(ring, n), round_of(n)); }
  TFXF_DEVICE void wait_until_free(int ring, int n) const { barrier_wait(used(ring, n), round_of(n) ^ 1); }

  /** A warp has done with a tile, all of its lanes: each reads notes by itself. */
  TFXF_DEVICE static void free_tile(SharedBarrier* used) {
    sync_warp();
    if (lane_index() == 0) barrier_arrive(used);
  }
};

}  // namespace cuda
}  // namespace tfxf
