// SPDX-License-Identifier: Apache-2.0
/**
 * How portable attention cuts its work: one block of the mask at a time, and of a block a range of
 * queries with the interval of keys that any of them sees. The scores of one chunk exist at a time.
 */
import { UNBOUNDED, visibleKeys } from '../spec/mask.js';
import type { Block, MaskPlan } from '../spec/mask.js';

/**
 * Scores of one chunk, over all batch items and heads: 8 MiB of float32. Up to ten arrays of this
 * size live at once in the backward pass, so a call stays below 100 MiB however long its sequences
 * are. A quarter of it is as fast, and less is slower: then the cost of each op's call shows.
 */
const CHUNK_SCORES = 2 * 1024 * 1024;

/** With a window, more rows to a chunk mean more keys that only some of the rows see. */
const WINDOWED_ROWS = 256;

/** Queries i0 <= i < i1 and the keys j0 <= j < j1 that they see, from the block's start. */
export interface Chunk {
  i0: number;
  i1: number;
  j0: number;
  j1: number;
}

/** The chunks of a block, which together hold each of its queries once, in order. */
export function chunksOf(plan: MaskPlan, block: Block, batchTimesHeads: number): Chunk[] {
  const isWindowed = plan.windowLeft < UNBOUNDED || plan.windowRight < UNBOUNDED;
  const mostRows = isWindowed ? WINDOWED_ROWS : block.qLength;
  const chunks: Chunk[] = [];
  let i0 = 0;
  while (i0 < block.qLength) {
    const rows = Math.min(mostRows, block.qLength - i0);
    const chunk = largestChunk(plan, block, i0, rows, CHUNK_SCORES / batchTimesHeads);
    chunks.push(chunk);
    i0 = chunk.i1;
  }
  return chunks;
}

/** The longest chunk from query i0 within `budget` scores a head; at least one row, at most `rows`. */
function largestChunk(
  plan: MaskPlan,
  block: Block,
  i0: number,
  rows: number,
  budget: number,
): Chunk {
  let fits = chunkFrom(plan, block, i0, i0 + 1);
  let low = 1;
  let high = rows;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const chunk = chunkFrom(plan, block, i0, i0 + middle);
    if (middle * (chunk.j1 - chunk.j0) <= budget) {
      fits = chunk;
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return fits;
}

function chunkFrom(plan: MaskPlan, block: Block, i0: number, i1: number): Chunk {
  const { begin, end } = visibleKeys(plan, i0, i1, block.qLength, block.kLength);
  return { i0, i1, j0: begin, j1: Math.max(begin, end) };
}
