// SPDX-License-Identifier: Apache-2.0
/**
 * A block that goes from one tile of queries to the next, a multiprocessor's share of them, and past the tiles of keys
 * that each of them sees: for the kernels of warpgroups. Every other round the blocks take theirs in reverse, so that
 * all get long and short ones.
 */
#pragma once

#include "cuda/kernels/attention_rows.h"
#include "cuda/kernels/group_products.h"
#include "cuda/kernels/tile_ring.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct QueryPlaces : TileRing<Tiles> {
  using Ring = TileRing<Tiles>;
  static constexpr int kKeys = Tiles::kStreamed;

  const AttentionParams& p;
  const PlacesParams& all;
  /** Where the block is, its first key and its tiles of keys; `done` tiles were before, in `turns` places that had any. */
  Place place;
  int32_t first, tiles, done = 0, turns = 0;

  TFXF_DEVICE QueryPlaces(const AttentionParams& params, const PlacesParams& places) : p(params), all(places) {}

  /** Goes to this block's place of a round; whether there is one. */
  TFXF_DEVICE bool enter(int32_t round) {
    const int64_t mine = (round & 1) != 0 ? all.blocks - 1 - block_index() : block_index();
    const int64_t n = static_cast<int64_t>(round) * all.blocks + mine;
    if (n >= all.places) return false;
    place = place_at<Ring::kRows>(p, p.together, n);
    const Range seen = visible_keys(place.sequence.mask, place.row0, end_of(place.row0 + Ring::kRows));
    const Range keys = part_of(seen, kKeys, place.split, p.splits);
    first = keys.begin / kKeys * kKeys;
    tiles = keys.end > keys.begin ? (keys.end - first + kKeys - 1) / kKeys : 0;
    return true;
  }
  TFXF_DEVICE void leave() {
    done += tiles;
    turns += tiles > 0 ? 1 : 0;
  }

  /** visit() at each of this block's places. */
  template <typename Visit>
  TFXF_DEVICE void visit_places(const Visit& visit) {
#pragma unroll 1
    for (int32_t round = 0; enter(round); round++) {
      visit();
      leave();
    }
  }

  /**
   * The kernel: own() by each thread that owns rows, which goes to its places; bring() by one thread at each place that
   * has tiles.
   */
  template <typename Maps, typename Own, typename Bring>
  TFXF_DEVICE void run(const Maps& maps, const Own& own, const Bring& bring) {
    Ring::prepare(0);
    if (Ring::owns()) {
      take_registers<Tiles::kRegistersOfProducts>();
      own();
    } else {
      give_registers<Tiles::kRegistersOfCopies>();
      if (thread_index() != Ring::kOwnerThreads) return;
      prefetch_maps(maps);
      visit_places([&] {
        if (tiles > 0) bring();
      });
    }
  }

  TFXF_DEVICE int32_t end_of(int32_t row) const { return smaller(row, place.sequence.mask.q_length); }
  TFXF_DEVICE int32_t key_of(int n) const { return first + n * kKeys; }
  /** Row g or g + 8 of this warp's. */
  TFXF_DEVICE int32_t row_of(int e) const {
    return place.row0 + 16 * warp_index() + (lane_index() >> 2) + 8 * e;
  }

  /** Whether something of tile n is hidden from a row among row0 <= row < end that exists. */
  TFXF_DEVICE bool hides(int32_t row0, int32_t end, int n) const {
    return !all_visible(place.sequence.mask, row0, end_of(end), key_of(n), key_of(n) + kKeys);
  }
  TFXF_DEVICE bool hides_from_block(int n) const { return hides(place.row0, place.row0 + Ring::kRows, n); }
  TFXF_DEVICE bool hides_from_group(int n) const {
    const int32_t row0 = place.row0 + 64 * Ring::group();
    return hides(row0, row0 + 64, n);
  }

  /** What belongs to hidden keys of tile n becomes `value`. */
  template <int kTiles>
  TFXF_DEVICE void hide(float (&x)[kTiles][4], int n, float value) const {
    const TileMask& mask = place.sequence.mask;
    const int32_t j0 = key_of(n);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int32_t high = smaller(row_of(e) + mask.high, mask.k_length - 1);
      keep_columns(x, e, row_of(e) + mask.low - j0, high - j0, value);
    }
  }

  TFXF_DEVICE void bring_queries(const TensorMap& map, int k) const {
    Ring::template bring<Ring::kRows>(Ring::held(k), map, Ring::held_there(), place.sequence.q_start + place.row0, place.head,
                                      place.batch);
  }
  /** Where keys and values have barriers of their own: tile n of one of them, as soon as there is room. */
  TFXF_DEVICE void bring_keys(const TensorMap& map, int ring, int n) const {
    SharedBarrier* const there = Ring::there(ring, done + n);
    Ring::wait_until_free(ring, done + n);
    barrier_expect(there, Tiles::kTileBytes);
    Ring::template bring<kKeys>(Ring::streamed(ring, done + n), map, there, place.sequence.k_start + key_of(n),
                                key_head(p, place), place.batch);
  }
};

}  // namespace cuda
}  // namespace tfxf
