// SPDX-License-Identifier: Apache-2.0
/**
 * The thread pool: each item once, workers that are never two at a time, regions inside regions, callers at the same
 * time, many short regions, the caller's floating-point mode on all threads, and a pool of its own in a forked child.
 * Built into a program of its own, so that a ThreadSanitizer build of it needs no kernels; 4 workers, whatever the
 * machine has.
 */
#include "cpu/thread_pool.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cpu/float_mode.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

constexpr int kWorkers = 4;

const Parallel& pool() {
  setenv("TF_NUM_INTRAOP_THREADS", "4", 1);
  return thread_pool();
}

TFXF_TEST(pool_size, "pool/has as many workers as TF_NUM_INTRAOP_THREADS says") {
  TFXF_CHECK(pool().workers == kWorkers);
  TFXF_CHECK(&pool() == &thread_pool());
}

TFXF_TEST(pool_items, "pool/runs each item once, no worker twice at a time") {
  for (const int64_t items : {0, 1, 2, 3, 5, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(items));
    std::atomic<int> inside[kWorkers] = {};
    std::atomic<bool> wrong{false};
    parallel_for(pool(), items, [&](int64_t item, int worker) {
      if (worker < 0 || worker >= kWorkers || inside[worker].fetch_add(1) != 0) wrong = true;
      runs[static_cast<size_t>(item)]++;
      inside[worker].fetch_sub(1);
    });
    TFXF_CHECK(!wrong);
    for (const auto& count : runs) TFXF_CHECK(count == 1);
  }
}

TFXF_TEST(pool_results, "pool/what items wrote is there when the region ends") {
  std::vector<int64_t> values(64);
  for (int64_t round = 0; round < 2000; round++) {
    parallel_for(pool(), 64, [&](int64_t item, int) { values[static_cast<size_t>(item)] = item * round; });
    for (int64_t item = 0; item < 64; item++) TFXF_CHECK(values[static_cast<size_t>(item)] == item * round);
  }
}

TFXF_TEST(pool_threads, "pool/several threads take part, also after a rest") {
  for (int round = 0; round < 3; round++) {
    std::atomic<int> present{0}, most{0};
    parallel_for(pool(), kWorkers, [&](int64_t, int) {
      const int now = ++present;
      int before = most;
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      present--;
    });
    TFXF_CHECK(most >= 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TFXF_TEST(pool_nested, "pool/a region inside a region runs too") {
  std::atomic<int> runs{0};
  parallel_for(pool(), 8, [&](int64_t, int) {
    parallel_for(pool(), 8, [&](int64_t, int worker) {
      if (worker >= 0 && worker < kWorkers) runs++;
    });
  });
  TFXF_CHECK(runs == 64);
}

TFXF_TEST(pool_callers, "pool/several callers at the same time") {
  std::atomic<int64_t> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; caller++) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; round++) {
        int64_t values[16] = {};
        parallel_for(pool(), 16, [&](int64_t item, int) { values[item] = item; });
        for (const int64_t value : values) total += value;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  TFXF_CHECK(total == 3 * 300 * 120);
}

TFXF_TEST(pool_modes, "pool/gives the caller's floating-point mode to every thread") {
  for (const Subnormals subnormals : {Subnormals::kFlush, Subnormals::kKeep}) {
    const FloatModeScope scope(subnormals);
    const uint64_t mode = float_mode_bits(subnormals);
    std::atomic<int> others{0};
    parallel_for(pool(), 32, [&](int64_t, int) {
      // Exception flags, the low bits on x86-64, are not part of the mode.
      if ((float_mode() & ~uint64_t{0x3f}) != (mode & ~uint64_t{0x3f})) others++;
      std::this_thread::yield();
    });
    TFXF_CHECK(others == 0);
  }
}

// ThreadSanitizer allows no threads in the child of a process that had threads.
#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)

/** Several threads take part in a region, and each item runs once. */
bool pool_works() {
  std::atomic<int> runs{0}, present{0}, most{0};
  parallel_for(pool(), 2 * kWorkers, [&](int64_t, int) {
    const int now = ++present;
    int before = most;
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    present--;
    runs++;
  });
  return runs == 2 * kWorkers && most >= 2;
}

TFXF_TEST(pool_fork, "pool/a forked child has threads of its own") {
  TFXF_CHECK(pool_works());
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(pool_works() ? 0 : 1);
  }
  int status = -1;
  TFXF_CHECK(waitpid(child, &status, 0) == child);
  TFXF_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  TFXF_CHECK(pool_works());
}

#endif

}  // namespace
}  // namespace test
}  // namespace tfxf
