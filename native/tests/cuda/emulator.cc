// SPDX-License-Identifier: Apache-2.0
/** The instructions of a warp, by the threads' turns of emulator_threads.h. */
#include "tests/cuda/emulator.h"

#include <cmath>

#include "common/dtype.h"
#include "tests/cuda/emulator_threads.h"

namespace tfxf {
namespace cuda {
namespace {

void copy_now(const Copy& copy) {
  memset(copy.to, 0, 16);
  if (copy.bytes > 0) memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
}

float half_of(uint32_t word, int n) { return widen_bfloat16(static_cast<uint16_t>(word >> (16 * n))); }

/** c += a b for 16 x 8 results over `depth` products. */
void add_products(Warp& w, const float (&a)[16][16], const float (&b)[16][8], int depth) {
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4;
    for (int n = 0; n < 4; n++) {
      const int row = g + 8 * (n / 2), column = 2 * t + n % 2;
      float sum = w.c[lane][n];
      for (int k = 0; k < depth; k++) sum += a[row][k] * b[k][column];
      w.c[lane][n] = sum;
    }
  }
}

/** The lane that the last to arrive computes for brings its operands; true for that last one. */
bool bring_operands(const char* what, float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  Warp& w = warp();
  const int lane = block.now % 32;
  memcpy(w.a[lane], a, sizeof a);
  w.b[lane][0] = b0;
  w.b[lane][1] = b1;
  w.c[lane] = c;
  return arrive(w.meeting, what);
}

}  // namespace

int thread_index() { return block.now; }
int64_t block_index() { return block.index; }
unsigned char* shared_memory() { return block.shared_begin; }

void sync_threads() {
  if (arrive(block.barrier, "sync_threads")) leave(block.barrier);
}

bool sync_or(bool mine) {
  block.votes += mine ? 1 : 0;
  if (arrive(block.barrier, "sync_or")) {
    block.vote = block.votes > 0;
    block.votes = 0;
    leave(block.barrier);
  }
  return block.vote;
}

void sync_warp() {
  Warp& w = warp();
  if (arrive(w.meeting, "sync_warp")) leave(w.meeting);
}

uint32_t shuffle_word(uint32_t word, int from) {
  Warp& w = warp();
  w.words[block.now % 32] = word;
  if (arrive(w.meeting, "shuffle")) leave(w.meeting);
  const uint32_t got = w.words[from];
  // Nobody may bring the next word before all have this one.
  if (arrive(w.meeting, "the end of a shuffle")) leave(w.meeting);
  return got;
}

void load_matrices(uint32_t (&r)[4], const void* row) {
  Warp& w = warp();
  w.rows[block.now % 32] = static_cast<const unsigned char*>(row);
  w.r[block.now % 32] = r;
  if (!arrive(w.meeting, "load_matrices")) return;
  for (int lane = 0; lane < 32; lane++) {
    for (int m = 0; m < 4; m++) memcpy(&w.r[lane][m], w.rows[8 * m + lane / 4] + 4 * (lane % 4), 4);
  }
  leave(w.meeting);
}

void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  Warp& w = warp();
  w.rows[block.now % 32] = static_cast<const unsigned char*>(row);
  w.r[block.now % 32] = r;
  if (!arrive(w.meeting, "load_matrices_transposed")) return;
  for (int lane = 0; lane < 32; lane++) {
    for (int m = 0; m < 4; m++) {
      uint16_t low, high;
      memcpy(&low, w.rows[8 * m + 2 * (lane % 4)] + 2 * (lane / 4), 2);
      memcpy(&high, w.rows[8 * m + 2 * (lane % 4) + 1] + 2 * (lane / 4), 2);
      w.r[lane][m] = low | static_cast<uint32_t>(high) << 16;
    }
  }
  leave(w.meeting);
}

void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if (!bring_operands("multiply_bf16", c, a, b0, b1)) return;
  Warp& w = warp();
  float left[16][16], right[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4;
    for (int n = 0; n < 4; n++) {
      for (int e = 0; e < 2; e++) left[g + 8 * (n % 2)][2 * t + e + 8 * (n / 2)] = half_of(w.a[lane][n], e);
    }
    for (int n = 0; n < 2; n++) {
      for (int e = 0; e < 2; e++) right[2 * t + e + 8 * n][g] = half_of(w.b[lane][n], e);
    }
  }
  add_products(w, left, right, 16);
  leave(w.meeting);
}

void multiply_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if (!bring_operands("multiply_tf32", c, a, b0, b1)) return;
  Warp& w = warp();
  float left[16][16], right[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4;
    // The instruction does not look at the low 13 bits.
    for (int n = 0; n < 4; n++) left[g + 8 * (n % 2)][t + 4 * (n / 2)] = float_of(w.a[lane][n] & ~0x1fffu);
    for (int n = 0; n < 2; n++) right[t + 4 * n][g] = float_of(w.b[lane][n] & ~0x1fffu);
  }
  add_products(w, left, right, 8);
  leave(w.meeting);
}

uint32_t round_tf32(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0x007fffffu ? 0x7fffe000u : bits;
  return (bits + 0x1000u) & ~0x1fffu;  // halves go away from zero
}

uint32_t pack_bf16(float low, float high) {
  const auto narrowed = [](float x) { return std::isnan(x) ? uint16_t{0x7fff} : round_bfloat16(x); };
  return narrowed(low) | static_cast<uint32_t>(narrowed(high)) << 16;
}

void copy_async(void* to, const void* from, int bytes) {
  const bool aligned = (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16 == 0;
  if (!aligned && bytes > 0) broken("an asynchronous copy of 16 bytes that are not aligned");
  Thread& thread = self();
  const Copy copy = {to, from, bytes, thread.group};
  (block.mode & kEager) != 0 ? copy_now(copy) : thread.copies.push_back(copy);
}

void copy_commit() { self().group++; }

void copy_wait_for(int pending) {
  Thread& thread = self();
  std::vector<Copy> later;
  for (const Copy& copy : thread.copies) {
    copy.group < thread.group - pending ? copy_now(copy) : later.push_back(copy);
  }
  thread.copies.swap(later);
}

float power_of_two(float x) { return std::exp2(x); }
float multiply_add(float a, float b, float c) { return std::fma(a, b, c); }

}  // namespace cuda
}  // namespace tfxf
