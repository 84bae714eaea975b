// SPDX-License-Identifier: Apache-2.0
#include "cpu/caches.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace tfxf {
namespace {

constexpr int64_t kLeastStreamedBytes = 8 << 20;
constexpr int64_t kPartOfLastCache = 16;

/** 0 where the system does not say. */
int64_t last_cache_bytes() {
#if defined(_SC_LEVEL3_CACHE_SIZE)
  return sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
  return 0;
#endif
}

/** Asked once, as the answer may be slow; threads that come first at the same time find the same. */
int64_t known = 0;

}  // namespace

int64_t streamed_bytes() {
  int64_t bytes = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (bytes == 0) {
    const int64_t part = last_cache_bytes() / kPartOfLastCache;
    bytes = part > kLeastStreamedBytes ? part : kLeastStreamedBytes;
    __atomic_store_n(&known, bytes, __ATOMIC_RELAXED);
  }
  return bytes;
}

void set_streamed_bytes(int64_t bytes) { __atomic_store_n(&known, bytes, __ATOMIC_RELAXED); }

}  // namespace tfxf
