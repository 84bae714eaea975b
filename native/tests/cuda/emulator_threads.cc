// SPDX-License-Identifier: Apache-2.0
/** emulator_threads.h. x86-64: 20 instructions change the stack. */
#include "tests/cuda/emulator_threads.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/cuda/emulator.h"

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

Block block;

namespace {

constexpr size_t kStackBytes = 256 * 1024;
/** Where shared memory begins: a multiple of this. */
constexpr uintptr_t kSharedAlignment = 1024;

[[noreturn]] void stuck() {
  fprintf(stderr, "emulator: block %lld cannot go on:\n", static_cast<long long>(block.index));
  for (int n = 0; n < block.threads; n++) {
    const Thread& thread = block.all[static_cast<size_t>(n)];
    if (!thread.done && n % 32 < 2) fprintf(stderr, "  thread %d waits at %s\n", n, thread.what);
  }
  abort();
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
  thread.counter = nullptr;
  thread.copies.clear();
  thread.group = 0;
}

void run_block() {
  block.left = block.threads;
  block.resting = 0;
  block.barrier = Meeting();
  block.barrier.expected = block.threads;
  for (int n = 0; n < block.threads; n++) prepare(block.all[static_cast<size_t>(n)]);
  for (int n = 0; n < block.threads / 32; n++) {
    block.warps[static_cast<size_t>(n)].meeting = Meeting();
    block.warps[static_cast<size_t>(n)].meeting.expected = 32;
  }
  memset(block.shared.data(), 0xff, block.shared.size());
  begin_groups();
  while (block.left > 0) {
    bool moved = false;
    for (int n = 0; n < block.threads; n++) {
      block.now = (block.mode & kReverse) != 0 ? block.threads - 1 - n : n;
      Thread& thread = self();
      if (thread.done || (thread.counter != nullptr && *thread.counter == thread.value)) continue;
      thread.counter = nullptr;
      moved = true;
      tfxf_change_stack(&block.scheduler, thread.place);
    }
    if (moved) continue;
    if (block.resting > 0) {
      block.rests++;
    } else if (!bring_late_copies()) {
      stuck();
    }
  }
  end_groups();
}

}  // namespace

void broken(const char* pattern, ...) {
  fprintf(stderr, "emulator: ");
  va_list arguments;
  va_start(arguments, pattern);
  vfprintf(stderr, pattern, arguments);
  va_end(arguments);
  fprintf(stderr, "\n");
  abort();
}

void wait_for(const int64_t& counter, const char* what) {
  Thread& thread = self();
  thread.counter = &counter;
  thread.value = counter;
  thread.what = what;
  tfxf_change_stack(&thread.place, block.scheduler);
}

void let_others_run() {
  block.resting++;
  wait_for(block.rests, "the others");
  block.resting--;
}

bool arrive(Meeting& meeting, const char* what) {
  if (meeting.arrived > 0 && meeting.what != what) {
    broken("thread %d came to %s, others wait at %s", block.now, what, meeting.what);
  }
  meeting.what = what;
  if (++meeting.arrived == meeting.expected) return true;
  wait_for(meeting.round, what);
  return false;
}

void leave(Meeting& meeting) {
  meeting.arrived = 0;
  meeting.round++;
}

void emulate(void (*kernel)(const void*), const void* params, int64_t blocks, int threads, int64_t shared_bytes,
             unsigned mode) {
  block.kernel = kernel;
  block.params = params;
  block.threads = threads;
  block.mode = mode;
  block.shared_bytes = shared_bytes;
  block.shared.resize(static_cast<size_t>(shared_bytes) + kSharedAlignment);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(block.shared.data()) + kSharedAlignment - 1;
  block.shared_begin = reinterpret_cast<unsigned char*>(begin / kSharedAlignment * kSharedAlignment);
  for (block.index = 0; block.index < blocks; block.index++) run_block();
}

}  // namespace cuda
}  // namespace tfxf
