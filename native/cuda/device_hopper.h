// SPDX-License-Identifier: Apache-2.0
/**
 * What only sm_90a has, beside device.h: products of a warpgroup (wgmma), tiles that the copy engine brings (TMA),
 * barriers in shared memory that count threads and bytes, barriers of some of a block's threads, and registers that
 * warpgroups pass to each other. The emulation of all this is in tests/cuda/emulator_hopper.h.
 *
 * Layouts, by the PTX ISA. A warpgroup is four warps, of which warp w has rows 16 w … of the 64; its accumulators and
 * its A fragments are those of device.h, 16 rows by 8 columns after another. In shared memory a matrix is made of
 * slices: rows of 64 bfloat16, 128 bytes, whose chunks of 16 bytes are swapped by the row's number (address bits 4 to 6
 * by bits 7 to 9). tile_copy() writes slices and matrix_descriptor() names them:
 *
 *     k along the rows (Q, K):      8 rows are 1,024 bytes, the stride; 16 columns further are 32 bytes
 *     k across the rows (V):        8 rows of k are 1,024 bytes, the stride; the next 64 columns are the next slice,
 *                                   at the leading offset; 16 rows further are 2,048 bytes
 *
 * Slices begin at multiples of 1,024 bytes.
 */
#pragma once

#include "cuda/device.h"
#include "cuda/params.h"

namespace tfxf {
namespace cuda {

/** A barrier in shared memory. */
using SharedBarrier = uint64_t;

}  // namespace cuda
}  // namespace tfxf

#if defined(__CUDACC__)

namespace tfxf {
namespace cuda {

/** Each phase ends when `count` threads have arrived and all bytes that were announced are there. */
TFXF_DEVICE void barrier_init(SharedBarrier* barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}
/** By the thread that has initialized barriers, before the block's other threads and the copy engine use them. */
TFXF_DEVICE void barrier_init_done() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
/** Arrives, and announces bytes of this phase. */
TFXF_DEVICE void barrier_expect(SharedBarrier* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
TFXF_DEVICE void barrier_arrive(SharedBarrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
/** Waits for the end of the phase of this parity; phases count from 0. */
TFXF_DEVICE void barrier_wait(SharedBarrier* barrier, int parity) {
  const uint32_t address = shared_address(barrier);
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n.reg .pred done;\nmbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\nselp.b32 %0, 1, 0, done;\n}"
        : "=r"(done)
        : "r"(address), "r"(parity)
        : "memory");
  }
}

/** The map is read by the copy engine soon. */
TFXF_DEVICE void prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/** One thread brings the box of a map at (column, row, head, batch) as a slice; what lies outside of the tensor is zero. */
TFXF_DEVICE void tile_copy(void* to, const TensorMap& map, SharedBarrier* barrier, int column, int row, int head, int batch) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(
          shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(row), "r"(head), "r"(batch)
      : "memory");
}
/** What this thread has written to shared memory is there for the tensor cores and the copy engine. */
TFXF_DEVICE void publish_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/** Barrier `id` (0 is sync_threads') of `threads` threads, whole warps, of which some may arrive without waiting. */
TFXF_DEVICE void group_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
TFXF_DEVICE void group_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
/** The same as group_sync; whether any of the threads came with true. */
TFXF_DEVICE bool group_sync_or(int id, int threads, bool mine) {
  uint32_t any;
  asm volatile(
      "{\n.reg .pred mine, any;\nsetp.ne.u32 mine, %1, 0;\nbar.red.or.pred any, %2, %3, mine;\n"
      "selp.b32 %0, 1, 0, any;\n}"
      : "=r"(any)
      : "r"(mine ? 1u : 0u), "r"(id), "r"(threads)
      : "memory");
  return any != 0;
}
/** Whether any lane of the warp says so. */
TFXF_DEVICE bool any_lane(bool mine) { return __any_sync(0xffffffffu, mine) != 0; }

/** By all warps of a warpgroup: from now on each thread has this many registers, fewer or more. */
template <int kCount>
TFXF_DEVICE void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
TFXF_DEVICE void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

/** Before products whose registers or shared memory this thread has touched. */
TFXF_DEVICE void group_products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
TFXF_DEVICE void group_products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/** Waits for all products but those of the newest `kPending` groups. Until then their registers are not this thread's. */
template <int kPending>
TFXF_DEVICE void group_products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/** After the wait: keeps the compiler from reading results before it. */
template <int kTiles>
TFXF_DEVICE void settle(float (&d)[kTiles][4]) {
#pragma unroll
  for (int n = 0; n < kTiles; n++) {
#pragma unroll
    for (int c = 0; c < 4; c++) asm volatile("" : "+f"(d[n][c])::"memory");
  }
}

#define TFXF_AT_0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define TFXF_AT_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TFXF_AT_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define TFXF_AT_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TFXF_AT_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define TFXF_AT_80 ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define TFXF_AT_96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define TFXF_AT_112 ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define TFXF_24 TFXF_AT_0 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define TFXF_32 TFXF_AT_0 TFXF_AT_16
#define TFXF_48 TFXF_32 TFXF_AT_32
#define TFXF_64 TFXF_32 TFXF_AT_32 TFXF_AT_48
#define TFXF_128 TFXF_64 TFXF_AT_64 TFXF_AT_80 TFXF_AT_96 TFXF_AT_112
#define TFXF_40 TFXF_32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define TFXF_TILE(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define TFXF_TILES_2(n) TFXF_TILE(n), TFXF_TILE(n + 1)
#define TFXF_TILES_6(n) TFXF_TILES_2(n), TFXF_TILES_2(n + 2), TFXF_TILES_2(n + 4)
#define TFXF_TILES_8(n) TFXF_TILES_2(n), TFXF_TILES_2(n + 2), TFXF_TILES_2(n + 4), TFXF_TILES_2(n + 6)
#define TFXF_TILES_10(n) TFXF_TILES_8(n), TFXF_TILES_2(n + 8)
#define TFXF_TILES_12(n) TFXF_TILES_8(n), TFXF_TILES_2(n + 8), TFXF_TILES_2(n + 10)
#define TFXF_TILES_16(n) TFXF_TILES_8(n), TFXF_TILES_8(n + 8)
#define TFXF_TILES_32(n) TFXF_TILES_16(n), TFXF_TILES_16(n + 16)

/**
 * d = a * b, or d += a * b with kAdd; 64 rows by 8 kTiles columns by 16 bfloat16, with float32 sums. Both matrices in
 * shared memory, k along their rows. x, y, z: the places of a, b and kAdd behind the accumulators.
 */
#define TFXF_DEFINE_SHARED_PRODUCT(columns, tiles, count, x, y, z)                                              \
  template <bool kAdd>                                                                                          \
  TFXF_DEVICE void multiply_group(float (&d)[tiles][4], uint64_t a, uint64_t b) {                               \
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, " z ", 0;\n"                                            \
                 "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" TFXF_##count "}, " x ", " y \
                 ", add, 1, 1, 0, 0;\n}"                                                                        \
                 : TFXF_TILES_##tiles(0)                                                                        \
                 : "l"(a), "l"(b), "n"(kAdd ? 1 : 0));                                                          \
  }
TFXF_DEFINE_SHARED_PRODUCT(48, 6, 24, "%24", "%25", "%26")
TFXF_DEFINE_SHARED_PRODUCT(64, 8, 32, "%32", "%33", "%34")
TFXF_DEFINE_SHARED_PRODUCT(80, 10, 40, "%40", "%41", "%42")
TFXF_DEFINE_SHARED_PRODUCT(96, 12, 48, "%48", "%49", "%50")
TFXF_DEFINE_SHARED_PRODUCT(128, 16, 64, "%64", "%65", "%66")
#undef TFXF_DEFINE_SHARED_PRODUCT

/** d += a * b, a in registers, b in shared memory with k across its rows. */
#define TFXF_DEFINE_REGISTER_PRODUCT(columns, tiles, count, a0, a1, a2, a3, x)                                       \
  TFXF_DEVICE void multiply_group(float (&d)[tiles][4], const uint32_t (&a)[4], uint64_t b) {                       \
    asm volatile("{\n.reg .pred add;\nsetp.eq.b32 add, 0, 0;\n"                                                    \
                 "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" TFXF_##count "}, {" a0 ", " a1  \
                 ", " a2 ", " a3 "}, " x ", add, 1, 1, 1;\n}"                                                       \
                 : TFXF_TILES_##tiles(0)                                                                            \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                             \
  }
TFXF_DEFINE_REGISTER_PRODUCT(64, 8, 32, "%32", "%33", "%34", "%35", "%36")
TFXF_DEFINE_REGISTER_PRODUCT(128, 16, 64, "%64", "%65", "%66", "%67", "%68")
TFXF_DEFINE_REGISTER_PRODUCT(256, 32, 128, "%128", "%129", "%130", "%131", "%132")
#undef TFXF_DEFINE_REGISTER_PRODUCT

}  // namespace cuda
}  // namespace tfxf

#else
#include "tests/cuda/emulator_hopper.h"
#endif

namespace tfxf {
namespace cuda {

/** Names a matrix of slices (above); offsets in bytes, multiples of 16. Further steps of k are added by step_of(). */
TFXF_DEVICE uint64_t matrix_descriptor(const void* slice, int leading, int stride) {
  const uint64_t start = (shared_address(slice) & 0x3ffffu) >> 4, swizzle_128_bytes = 1;
  return start | static_cast<uint64_t>(leading >> 4) << 16 | static_cast<uint64_t>(stride >> 4) << 32 |
         swizzle_128_bytes << 62;
}
TFXF_DEVICE uint64_t step_of(int bytes) { return static_cast<uint64_t>(bytes >> 4); }

}  // namespace cuda
}  // namespace tfxf
