// SPDX-License-Identifier: Apache-2.0
/**
 * What the kernels ask of the machine: thread numbers, barriers, shuffles, tensor-core products, asynchronous copies.
 *
 * nvcc gets the instructions; any other compiler gets an emulation of them with the same names
 * (tests/cuda/emulator.h), so that the tests run these very kernels, fragment by fragment, on a machine with no GPU.
 * Nothing else in native/cuda/kernels differs between the two.
 *
 * The layouts of fragments are those of the PTX ISA. With g = lane / 4 and t = lane % 4 of a warp:
 *
 *     accumulator 16x8     c0 c1: (g, 2t) (g, 2t+1)      c2 c3: (g+8, 2t) (g+8, 2t+1)
 *     bf16 A 16x16         a0: (g, 2t..)  a1: (g+8, 2t..)  a2: (g, 2t+8..)  a3: (g+8, 2t+8..), two values each
 *     bf16 B 16x8          b0: (k = 2t.., n = g)  b1: (k = 2t+8.., n = g)
 *     tf32 A 16x8          a0: (g, t)  a1: (g+8, t)  a2: (g, t+4)  a3: (g+8, t+4)
 *     tf32 B 8x8           b0: (k = t, n = g)  b1: (k = t+4, n = g)
 *     ldmatrix             lanes 8m … 8m+7 name the rows of matrix m, 16 bytes each; register m of a lane is word t of
 *                          row g; transposed: the 16-bit elements (2t, g) and (2t+1, g)
 */
#pragma once

#include <cstdint>

#if defined(__CUDACC__)

#define TFXF_DEVICE __device__ __forceinline__

namespace tfxf {
namespace cuda {

TFXF_DEVICE int thread_index() { return static_cast<int>(threadIdx.x); }
TFXF_DEVICE int lane_index() { return static_cast<int>(threadIdx.x & 31u); }
TFXF_DEVICE int warp_index() { return static_cast<int>(threadIdx.x >> 5); }
TFXF_DEVICE int64_t block_index() { return blockIdx.x; }

/** The shared memory that the launch asked for; it begins at a multiple of 1,024 bytes. */
TFXF_DEVICE unsigned char* shared_memory() {
  extern __shared__ __align__(1024) unsigned char tfxf_shared[];
  return tfxf_shared;
}

TFXF_DEVICE void sync_threads() { __syncthreads(); }
/** A barrier; whether any thread of the block came with true. */
TFXF_DEVICE bool sync_or(bool mine) { return __syncthreads_or(mine) != 0; }
/** By all lanes of a warp: what they did before comes before what any of them does after. */
TFXF_DEVICE void sync_warp() { __syncwarp(); }
template <typename T>
TFXF_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
template <typename T>
TFXF_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}

TFXF_DEVICE uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
TFXF_DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
TFXF_DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/** c += a * b, 16x8x16, bfloat16 with float32 sums. */
TFXF_DEVICE void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** c += a * b, 16x8x8, tf32 with float32 sums. */
TFXF_DEVICE void multiply_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/** The nearest tf32: a float32 with 10 bits of fraction. */
TFXF_DEVICE uint32_t round_tf32(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}
/** Two bfloat16, rounded to nearest even, `low` in the low half. */
TFXF_DEVICE uint32_t pack_bf16(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

/** Copies 16 bytes into shared memory, of which the first `bytes` are read and the others are zero. Ends with copy_wait. */
TFXF_DEVICE void copy_async(void* to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
TFXF_DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits for this thread's copies but those of the newest `kPending` groups. */
template <int kPending>
TFXF_DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/** 2^x, to 2 ulp; 0 for -Infinity. */
TFXF_DEVICE float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
TFXF_DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
TFXF_DEVICE float float_of(uint32_t bits) { return __uint_as_float(bits); }
/** a * b + c, rounded once. */
TFXF_DEVICE float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
/** Product and difference that are rounded each: not fused with what follows. */
TFXF_DEVICE float product(float a, float b) { return __fmul_rn(a, b); }
TFXF_DEVICE float difference(float a, float b) { return __fsub_rn(a, b); }

}  // namespace cuda
}  // namespace tfxf

#else
#include "tests/cuda/emulator.h"
#endif

namespace tfxf {
namespace cuda {

/** 16 bytes that are loaded and stored at once. */
struct alignas(16) Words4 {
  uint32_t word[4];
};

constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.69314718055994531f;

TFXF_DEVICE float infinity() { return float_of(0x7f800000u); }
TFXF_DEVICE bool is_finite(float x) { return (bits_of(x) & 0x7f800000u) != 0x7f800000u; }
TFXF_DEVICE float widen(uint32_t bits) { return float_of(bits << 16); }
/** bfloat16 bits; NaN stays NaN, and quiet. */
TFXF_DEVICE uint32_t narrow(float value) { return pack_bf16(value, 0.0f) & 0xffffu; }

}  // namespace cuda
}  // namespace tfxf
