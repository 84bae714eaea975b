// SPDX-License-Identifier: Apache-2.0
/**
 * How the backward norm cuts the rows into blocks. A block is one work item and has partial sums of
 * its own for dgamma and dbeta, so its size is a matter of the shape alone: the sums are the same
 * for any number of workers. About 64 blocks keep that many cores busy; 8 rows at least keep the
 * partial sums small next to x and dy; 1,024 rows at most keep float32 sums accurate.
 */
#pragma once

#include <cstdint>

namespace tfxf {

struct NormBlocks {
  int64_t rows;   // of a block; the last one may have fewer
  int64_t count;  // at least 1, so that the sums over no rows are zero
};

static inline NormBlocks norm_blocks(int64_t rows) {
  int64_t size = (rows / 64 + 7) / 8 * 8;
  if (size < 8) size = 8;
  if (size > 1024) size = 1024;
  const int64_t count = (rows + size - 1) / size;
  return {size, count > 0 ? count : 1};
}

/** Floats from one partial sum to the next: whole cache lines. */
static inline int64_t norm_partial_stride(int64_t columns) { return (columns + 15) / 16 * 16; }

}  // namespace tfxf
