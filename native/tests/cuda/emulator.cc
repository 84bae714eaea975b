// SPDX-License-Identifier: Apache-2.0
/** The turns of the threads (x86-64: 20 instructions change the stack), and the instructions of a warp. */
#include "tests/cuda/emulator.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "common/dtype.h"

#if !defined(__x86_64__)
#error "the emulator of CUDA threads is written for x86-64"
#endif

extern "C" void tfxf_change_stack(void** from, void* to);
asm(R"(
.text
.globl tfxf_change_stack
.type tfxf_change_stack,@function
tfxf_change_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tfxf_change_stack,.-tfxf_change_stack
)");

namespace tfxf {
namespace cuda {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr int kMostThreads = 1024;

struct Copy {
  void* to;
  const void* from;
  int bytes, group;
};

/** What threads meet for: a barrier of the block, or one instruction of a warp. */
struct Meeting {
  const char* what = "";
  int arrived = 0, expected = 0;
  int64_t round = 0;
};

struct Thread {
  std::vector<unsigned char> stack;
  void* place = nullptr;  // of its stack, while it waits
  bool done = false;
  const Meeting* meeting = nullptr;
  int64_t round = 0;  // of the meeting, for which it waits to end
  std::vector<Copy> copies;
  int group = 0;
};

/** What the lanes of a warp put in and get out. */
struct Warp {
  Meeting meeting;
  uint32_t words[32];
  const unsigned char* rows[32];
  uint32_t a[32][4], b[32][2];
  float* c[32];
  uint32_t* r[32];
};

struct Block {
  void (*kernel)(const void*) = nullptr;
  const void* params = nullptr;
  int64_t index = 0;
  int threads = 0, now = 0, left = 0;
  unsigned mode = 0;
  void* scheduler = nullptr;
  Meeting barrier;
  int votes = 0;
  bool vote = false;
  std::vector<Thread> all{std::vector<Thread>(kMostThreads)};
  std::vector<Warp> warps{std::vector<Warp>(kMostThreads / 32)};
  std::vector<unsigned char> shared;
  unsigned char* shared_begin = nullptr;
};

Block block;

Thread& self() { return block.all[static_cast<size_t>(block.now)]; }
Warp& warp() { return block.warps[static_cast<size_t>(block.now / 32)]; }

[[noreturn]] void stuck() {
  fprintf(stderr, "emulator: block %lld cannot go on:\n", static_cast<long long>(block.index));
  for (int n = 0; n < block.threads; n++) {
    const Thread& thread = block.all[static_cast<size_t>(n)];
    if (!thread.done) fprintf(stderr, "  thread %d waits at %s\n", n, thread.meeting->what);
    if (n == 40) break;
  }
  abort();
}

/** Waits until all have come; returns whether this thread was the last, which then does the work and calls leave(). */
bool arrive(Meeting& meeting, const char* what) {
  if (meeting.arrived > 0 && meeting.what != what) {
    fprintf(stderr, "emulator: thread %d came to %s, others wait at %s\n", block.now, what, meeting.what);
    abort();
  }
  meeting.what = what;
  if (++meeting.arrived == meeting.expected) return true;
  Thread& thread = self();
  thread.meeting = &meeting;
  thread.round = meeting.round;
  tfxf_change_stack(&thread.place, block.scheduler);
  return false;
}

void leave(Meeting& meeting) {
  meeting.arrived = 0;
  meeting.round++;
}

void thread_main() {
  block.kernel(block.params);
  Thread& thread = self();
  thread.done = true;
  block.left--;
  tfxf_change_stack(&thread.place, block.scheduler);
}

void prepare(Thread& thread) {
  if (thread.stack.empty()) thread.stack.resize(kStackBytes);
  const uintptr_t top = reinterpret_cast<uintptr_t>(thread.stack.data() + kStackBytes) & ~uintptr_t{15};
  void** at = reinterpret_cast<void**>(top);
  *--at = nullptr;  // where thread_main would return to; keeps the stack aligned as after a call
  *--at = reinterpret_cast<void*>(thread_main);
  for (int n = 0; n < 6; n++) *--at = nullptr;
  thread.place = at;
  thread.done = false;
  thread.meeting = nullptr;
  thread.copies.clear();
  thread.group = 0;
}

void run_block() {
  block.left = block.threads;
  block.barrier = Meeting();
  block.barrier.expected = block.threads;
  for (int n = 0; n < block.threads; n++) prepare(block.all[static_cast<size_t>(n)]);
  for (int n = 0; n < block.threads / 32; n++) {
    block.warps[static_cast<size_t>(n)].meeting = Meeting();
    block.warps[static_cast<size_t>(n)].meeting.expected = 32;
  }
  memset(block.shared.data(), 0xff, block.shared.size());
  while (block.left > 0) {
    bool moved = false;
    for (int n = 0; n < block.threads; n++) {
      block.now = (block.mode & kReverse) != 0 ? block.threads - 1 - n : n;
      Thread& thread = self();
      if (thread.done || (thread.meeting != nullptr && thread.meeting->round == thread.round)) continue;
      thread.meeting = nullptr;
      moved = true;
      tfxf_change_stack(&block.scheduler, thread.place);
    }
    if (!moved) stuck();
  }
}

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

void emulate(void (*kernel)(const void*), const void* params, int64_t blocks, int threads, int64_t shared_bytes,
             unsigned mode) {
  block.kernel = kernel;
  block.params = params;
  block.threads = threads;
  block.mode = mode;
  block.shared.resize(static_cast<size_t>(shared_bytes) + 128);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(block.shared.data());
  block.shared_begin = reinterpret_cast<unsigned char*>((begin + 127) / 128 * 128);
  for (block.index = 0; block.index < blocks; block.index++) run_block();
}

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
  if (!aligned && bytes > 0) {
    fprintf(stderr, "emulator: an asynchronous copy of 16 bytes that are not aligned\n");
    abort();
  }
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

}  // namespace cuda
}  // namespace tfxf
