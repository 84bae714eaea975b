// SPDX-License-Identifier: Apache-2.0
/** How kernels share out work: plain function pointers, so that kernels need no C++ library. */
#pragma once

#include <cstdint>

namespace tfxf {

/** Called once for each item; `worker` < Parallel::workers is unique among the calls that run at a time. */
using ParallelBody = void (*)(void* context, int64_t item, int worker);

struct Parallel {
  int workers;
  /** Runs body for every item in 0 … items-1, taken in order by whoever is free; returns when all are done. */
  void (*run)(int64_t items, ParallelBody body, void* context);
};

/** Lets other threads run: for an item that waits for another. */
void give_way();

/** Runs `body(item, worker)`, a lambda, for every item. */
template <typename Body>
static inline void parallel_for(const Parallel& parallel, int64_t items, const Body& body) {
  parallel.run(
      items,
      [](void* context, int64_t item, int worker) {
        (*static_cast<const Body*>(context))(item, worker);
      },
      const_cast<Body*>(&body));
}

}  // namespace tfxf
