// SPDX-License-Identifier: Apache-2.0
/** Tiles that are used one after the other, the next one on its way into shared memory meanwhile. */
#pragma once

#include "cuda/kernels/tile_load.h"

namespace tfxf {
namespace cuda {

/**
 * For `at` as long as is_there(at): load(stage, at) begins to bring its tiles into place `stage`, use(stage, at) finds
 * them there, next(at) follows. Two places overlap the two; with one place (kStages) loads are waited for at once. What a
 * thread has begun to load before is there with the first tiles.
 */
template <int kStages, typename At, typename IsThere, typename Next, typename Load, typename Use>
TFXF_DEVICE void stream_tiles(At at, const IsThere& is_there, const Next& next, const Load& load, const Use& use) {
  if (kStages > 1 && is_there(at)) load(0, at);
  copy_commit();
  int stage = 0;
  while (is_there(at)) {
    const At following = next(at);
    if (kStages > 1) {
      if (is_there(following)) load(stage ^ 1, following);
    } else {
      load(0, at);
    }
    copy_commit();
    copy_wait<kStages - 1>();
    sync_threads();
    use(stage, at);
    sync_threads();
    if (kStages > 1) stage ^= 1;
    at = following;
  }
  copy_wait<0>();
}

/** The same for tiles of kKeys keys that begin at `first`, a multiple of that, … up to `end`. */
template <int kStages, int kKeys, typename Load, typename Use>
TFXF_DEVICE void stream_keys(int32_t first, int32_t end, const Load& load, const Use& use) {
  stream_tiles<kStages>(
      first, [end](int32_t j0) { return j0 < end; }, [](int32_t j0) { return j0 + kKeys; }, load, use);
}

}  // namespace cuda
}  // namespace tfxf
