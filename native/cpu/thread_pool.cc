// SPDX-License-Identifier: Apache-2.0
/**
 * A region is a loop over items that idle threads join and leave as they please. `state` says all
 * about it in one word:
 *
 *     bits 32-63  number of the region, so that a thread joins each at most once
 *     bit  31     open: may be joined
 *     bits 0-30   threads inside
 *
 * The caller writes the region's fields, opens it, wakes sleepers, takes items like everyone, closes
 * it when there are none left, and waits until nobody is inside. A thread that wakes late finds the
 * region closed, and nobody has waited for it. Kernels often follow each other closely, and waking a
 * thread takes as long as a small kernel: threads that have nothing to do watch the word, first for
 * kSpinNanoseconds without pause, then up to kYieldNanoseconds giving way to whoever wants the
 * processor (TensorFlow's own threads), and then sleep.
 *
 * The pool is never destroyed: its threads may be in use, or asleep, when the process ends. After a
 * fork the child has none of the threads, and makes a pool of its own.
 */
#include "cpu/thread_pool.h"

#include <stdlib.h>

#include <atomic>
#include <new>

#include "cpu/float_mode.h"
#include "cpu/threads.h"

namespace tfxf {
namespace {

constexpr int64_t kSpinNanoseconds = 20000;
constexpr int64_t kYieldNanoseconds = 300000;
constexpr int kMostWorkers = 1024;
constexpr uint64_t kOpen = uint64_t{1} << 31;
constexpr uint64_t kInside = kOpen - 1;
constexpr uint64_t kNextRegion = uint64_t{1} << 32;

struct Pool {
  Parallel parallel;
  int64_t wait_nanoseconds;  // before a thread sleeps
  std::atomic<bool> busy;

  // Of the region; written before it opens.
  ParallelBody body;
  void* context;
  int64_t items;
  uint64_t float_mode_bits;

  alignas(64) std::atomic<int64_t> next;
  alignas(64) std::atomic<uint64_t> state;
  alignas(64) std::atomic<int> sleepers;
  std::atomic<bool> caller_sleeps;
  Lock lock;
  Condition opened, emptied;
};

struct Worker {
  Pool* pool;
  int number;
};

std::atomic<Pool*> the_pool{nullptr};
Lock creation;

void take_items(Pool& pool, int worker) {
  const FloatModeScope mode(pool.float_mode_bits);
  for (;;) {
    const int64_t item = pool.next.fetch_add(1, std::memory_order_relaxed);
    if (item >= pool.items) return;
    pool.body(pool.context, item, worker);
  }
}

/** Calls `done` until it is true, for at most `limit`; returns its last answer. */
template <typename Done>
bool spin_until(int64_t limit, const Done& done) {
  if (done()) return true;
  const int64_t start = nanoseconds();
  for (int64_t passed = 0; passed < limit; passed = nanoseconds() - start) {
    if (passed > kSpinNanoseconds) give_way();
    for (int n = 0; n < 16; n++) {
      spin_pause();
      if (done()) return true;
    }
  }
  return false;
}

bool is_news(uint64_t state, uint64_t last) {
  return (state & kOpen) != 0 && state / kNextRegion != last;
}

/** The state once there is a region to join that is not the last one. */
uint64_t wait_for_region(Pool& pool, uint64_t last) {
  uint64_t state = 0;
  const auto seen = [&] {
    state = pool.state.load(std::memory_order_acquire);
    return is_news(state, last);
  };
  if (spin_until(pool.wait_nanoseconds, seen)) return state;
  const LockScope scope(pool.lock);
  // The caller opens first and then looks for sleepers; here it is the other way round, so that one
  // of the two sees the other.
  pool.sleepers.fetch_add(1);
  for (;;) {
    state = pool.state.load();
    if (is_news(state, last)) break;
    pool.opened.wait(pool.lock);
  }
  pool.sleepers.fetch_sub(1);
  return state;
}

void leave(Pool& pool) {
  const uint64_t after = pool.state.fetch_sub(1) - 1;
  if ((after & (kOpen | kInside)) != 0 || !pool.caller_sleeps.load()) return;
  const LockScope scope(pool.lock);
  pool.emptied.wake_one();
}

void work(void* argument) {
  const Worker worker = *static_cast<Worker*>(argument);
  free(argument);
  Pool& pool = *worker.pool;
  for (uint64_t last = 0;;) {
    uint64_t state = wait_for_region(pool, last);
    if (!pool.state.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
    last = state / kNextRegion;
    take_items(pool, worker.number);
    leave(pool);
  }
}

void wake(Pool& pool, int64_t most) {
  if (pool.sleepers.load() == 0) return;
  const LockScope scope(pool.lock);
  const int64_t sleepers = pool.sleepers.load();
  for (int64_t n = 0; n < most && n < sleepers; n++) pool.opened.wake_one();
}

void wait_until_empty(Pool& pool) {
  const auto empty = [&] { return (pool.state.load() & kInside) == 0; };
  if (spin_until(kYieldNanoseconds, empty)) return;
  const LockScope scope(pool.lock);
  pool.caller_sleeps.store(true);
  while (!empty()) pool.emptied.wait(pool.lock);
  pool.caller_sleeps.store(false);
}

void run_region(Pool& pool, int64_t items, ParallelBody body, void* context) {
  pool.body = body;
  pool.context = context;
  pool.items = items;
  pool.float_mode_bits = float_mode();
  pool.next.store(0, std::memory_order_relaxed);
  pool.state.store(((pool.state.load() / kNextRegion + 1) * kNextRegion) | kOpen);
  wake(pool, items - 1);
  take_items(pool, 0);
  pool.state.fetch_and(~kOpen);
  wait_until_empty(pool);
}

void run(int64_t items, ParallelBody body, void* context) {
  Pool& pool = *the_pool.load(std::memory_order_acquire);
  const bool alone = items <= 1 || pool.parallel.workers == 1;
  if (alone || pool.busy.exchange(true, std::memory_order_acquire)) {
    for (int64_t item = 0; item < items; item++) body(context, item, 0);
    return;
  }
  run_region(pool, items, body, context);
  pool.busy.store(false, std::memory_order_release);
}

int wanted_workers() {
  const char* setting = getenv("TF_NUM_INTRAOP_THREADS");
  const long wanted = setting != nullptr ? strtol(setting, nullptr, 10) : 0;
  const long count = wanted > 0 ? wanted : usable_processors();
  return static_cast<int>(count < kMostWorkers ? count : kMostWorkers);
}

/** Starts the threads; where the system has no more, the pool is as large as it got. */
void start_workers(Pool& pool, int wanted) {
  for (int number = 1; number < wanted; number++) {
    Worker* worker = static_cast<Worker*>(malloc(sizeof(Worker)));
    if (worker == nullptr) return;
    *worker = {&pool, number};
    if (!start_thread(work, worker)) {
      free(worker);
      return;
    }
    pool.parallel.workers = number + 1;
  }
}

/** In a forked child: the threads are in the parent, and the pool's memory is as they had it. */
void forget_pool() {
  creation.reset();
  the_pool.store(nullptr);
}

/** Not on the heap, so that there is no failure to allocate it, and nothing to destroy. */
alignas(64) unsigned char memory[sizeof(Pool)];

const Pool& create_pool() {
  const LockScope scope(creation);
  if (Pool* made = the_pool.load()) return *made;
  static bool watches_forks = false;
  if (!watches_forks) after_fork(forget_pool);
  watches_forks = true;
  Pool* pool = new (memory) Pool();
  const int wanted = wanted_workers();
  // With more threads than processors a spinning one would keep a working one from running.
  pool->wait_nanoseconds = wanted <= usable_processors() ? kYieldNanoseconds : 0;
  pool->parallel = {1, run};
  start_workers(*pool, wanted);
  the_pool.store(pool, std::memory_order_release);
  return *pool;
}

}  // namespace

const Parallel& thread_pool() {
  const Pool* pool = the_pool.load(std::memory_order_acquire);
  return (pool != nullptr ? *pool : create_pool()).parallel;
}

}  // namespace tfxf
