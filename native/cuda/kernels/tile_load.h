// SPDX-License-Identifier: Apache-2.0
/**
 * Rows of a tensor into a tile of shared memory: kRows rows of kDim elements, chunks of 16 bytes swizzled (tile_mask.h).
 * Columns beyond the tensor's and absent rows are zero, so that products over them add nothing.
 *
 * Where the rows allow it each thread copies whole chunks asynchronously. Otherwise (odd dims, views that begin
 * anywhere) it gathers the elements of a chunk; that is done when load_tile returns, but seen by others only after the
 * same wait and barrier.
 */
#pragma once

#include "cuda/device.h"
#include "cuda/params.h"
#include "cuda/shapes.h"
#include "cuda/tile_mask.h"

namespace tfxf {
namespace cuda {

/** One chunk, from the elements first … of a row of `dim`. */
TFXF_DEVICE Words4 gather_chunk(const float* row, int first, int dim) {
  Words4 chunk;
  for (int n = 0; n < 4; n++) chunk.word[n] = first + n < dim ? bits_of(row[first + n]) : 0u;
  return chunk;
}
TFXF_DEVICE Words4 gather_chunk(const BFloat16* row, int first, int dim) {
  Words4 chunk;
  for (int n = 0; n < 4; n++) {
    const int at = first + 2 * n;
    const uint32_t low = at < dim ? row[at].bits : 0u, high = at + 1 < dim ? row[at + 1].bits : 0u;
    chunk.word[n] = low | high << 16;
  }
  return chunk;
}

/** `row_of(n)` is the first element of row n of the tile, or null. */
template <typename T, int kRows, int kDim, int kThreads, typename RowOf>
TFXF_DEVICE void load_tile(unsigned char* tile, const HeadsParams& heads, const RowOf& row_of) {
  constexpr int kElements = 16 / static_cast<int>(sizeof(T));
  constexpr int kChunks = kDim / kElements;
  static_assert(kThreads % kChunks == 0, "a thread keeps its column");
  constexpr int kStep = kThreads / kChunks;
  const int chunk = thread_index() % kChunks, first = chunk * kElements;
#pragma unroll
  for (int row = thread_index() / kChunks; row < kRows; row += kStep) {
    const T* from = row_of(row);
    unsigned char* to = tile + 16 * swizzled(row, chunk, kChunks);
    if (heads.in_chunks != 0) {
      const bool there = from != nullptr && first < heads.dim;
      copy_async(to, there ? static_cast<const void*>(from + first) : heads.data, there ? 16 : 0);
    } else {
      *reinterpret_cast<Words4*>(to) = gather_chunk(from, first, from != nullptr ? heads.dim : 0);
    }
  }
}

/** Element `column` of a row of a tile. */
template <typename T, int kDim>
TFXF_DEVICE T& tile_element(unsigned char* tile, int row, int column) {
  constexpr int kElements = 16 / static_cast<int>(sizeof(T));
  const int chunk = swizzled(row, column / kElements, kDim / kElements);
  return reinterpret_cast<T*>(tile + 16 * chunk)[column % kElements];
}

TFXF_DEVICE float as_float(float x) { return x; }
TFXF_DEVICE float as_float(BFloat16 x) { return widen(x.bits); }

}  // namespace cuda
}  // namespace tfxf
