// SPDX-License-Identifier: Apache-2.0
/** Parallel::run gets no context of its own, so the number of workers is a variable of this file. */
#include "tests/workers.h"

#include <atomic>
#include <thread>
#include <vector>

namespace tfxf {
namespace test {
namespace {

int turns = 1;
int threads = 1;

void run_in_turns(int64_t items, ParallelBody body, void* context) {
  uint32_t state = 12345;
  for (int64_t item = 0; item < items; item++) {
    state = state * 1664525u + 1013904223u;
    body(context, item, static_cast<int>((state >> 16) % static_cast<uint32_t>(turns)));
  }
}

void run_in_threads(int64_t items, ParallelBody body, void* context) {
  std::atomic<int64_t> next{0};
  const auto work = [&](int worker) {
    for (int64_t item; (item = next.fetch_add(1)) < items;) body(context, item, worker);
  };
  std::vector<std::thread> others;
  for (int worker = 1; worker < threads; worker++) others.emplace_back(work, worker);
  work(0);
  for (std::thread& thread : others) thread.join();
}

}  // namespace

Parallel in_turns(int workers) {
  turns = workers;
  return {workers, run_in_turns};
}

Parallel in_threads(int workers) {
  threads = workers;
  return {workers, run_in_threads};
}

}  // namespace test
}  // namespace tfxf
