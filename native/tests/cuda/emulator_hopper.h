// SPDX-License-Identifier: Apache-2.0
/**
 * cuda/device_hopper.h for the processor that runs the tests. As strict as emulator.h:
 *
 * - Products of a warpgroup are done when their warp waits for them, and read shared memory and registers then; or at
 *   once (kEager). Matrices in shared memory are found by their descriptors alone, bit by bit.
 * - Boxes of a tensor map land when nobody can go on before they do, or at once (kEager, and kEarlyBoxes, where products are
 *   as late as ever: a place that is given back too early shows). The map is read as encode_map() wrote it.
 * - A thread that arrives at a barrier in shared memory goes on at once (kReverse), or when no other can go on without it:
 *   what it should have written before shows.
 * - Barriers that nobody initialized, that get more than they expect, products that nobody waited for and threads left at
 *   a barrier end the program.
 *
 * It shows nothing of the order between the memory that threads write and what the tensor cores and the copy engine see
 * (publish_shared), of registers given and taken, and nothing of speed.
 */
#pragma once

#include "cuda/params.h"
#include "tests/cuda/emulator.h"

namespace tfxf {
namespace cuda {

void barrier_init(SharedBarrier* barrier, int count);
inline void barrier_init_done() {}
void barrier_expect(SharedBarrier* barrier, int bytes);
void barrier_arrive(SharedBarrier* barrier);
void barrier_wait(SharedBarrier* barrier, int parity);

inline void prefetch_map(const TensorMap&) {}
void tile_copy(void* to, const TensorMap& map, SharedBarrier* barrier, int column, int row, int head, int batch);
inline void publish_shared() {}

void group_sync(int id, int threads);
void group_arrive(int id, int threads);
bool group_sync_or(int id, int threads, bool mine);
bool any_lane(bool mine);

template <int kCount>
void give_registers() {
  static_assert(kCount % 8 == 0 && kCount >= 24, "registers come by eights");
}
template <int kCount>
void take_registers() {
  static_assert(kCount % 8 == 0 && kCount <= 256, "registers come by eights");
}

/** In the block's memory as its instructions see it: 18 bits are enough. */
uint32_t shared_address(const void* pointer);

inline void group_products_begin() {}
void group_products_commit();
void group_products_wait_for(int pending);
template <int kPending>
void group_products_wait() {
  group_products_wait_for(kPending);
}
template <int kTiles>
void settle(float (&)[kTiles][4]) {}

/** d = a b or d += a b of 64 x 8 tiles x 16. `a` in shared memory, or, where `words` is not null, in registers. */
void multiply_group_of(float* d, int tiles, uint64_t a, const uint32_t* words, uint64_t b, bool add);
template <bool kAdd, int kTiles>
void multiply_group(float (&d)[kTiles][4], uint64_t a, uint64_t b) {
  multiply_group_of(d[0], kTiles, a, nullptr, b, kAdd);
}
template <int kTiles>
void multiply_group(float (&d)[kTiles][4], const uint32_t (&a)[4], uint64_t b) {
  multiply_group_of(d[0], kTiles, 0, a, b, true);
}

/** As cuTensorMapEncodeTiled, for bfloat16 of four axes with rows of 128 swizzled bytes; false where that refuses. */
bool encode_map(void* map, const void* data, const uint64_t* sizes, const uint64_t* steps, const unsigned* box);

}  // namespace cuda
}  // namespace tfxf
