// SPDX-License-Identifier: Apache-2.0
/**
 * Which tiles the workgroups of a blocked mask work on. No tile spans two blocks, so packed
 * sequences cost what their lengths cost. O(tiles + blocks + pages) integers, made on the CPU from
 * the plan's lengths: nothing waits for the GPU.
 *
 * Layout of the integers, as wgsl/mask.ts reads them:
 *   [block, first row] per tile | [qStart, qLength, kStart, kLength, table] per block | page table
 */
import { blocksOf } from '../spec/mask.js';
import type { Block, MaskPlan } from '../spec/mask.js';
import type { MaskLayout } from './wgsl/mask.js';

export interface Schedule {
  integers: Int32Array;
  tiles: number;
  blockOffset: number;
  tableOffset: number;
}

export function layoutOf(plan: MaskPlan): MaskLayout {
  if (!plan.blocks) return 'dense';
  return plan.pages ? 'paged' : 'blocked';
}

/** Tiles over the queries of each block. */
export function queryTiles(plan: MaskPlan, queries: number, keys: number, rows: number): Schedule {
  return schedule(plan, blocksOf(plan, queries, keys), (block) => block.qLength, rows);
}

/** Tiles over the rows of each block that wgsl/split.ts speaks of: its queries times `group`. */
export function groupedTiles(
  plan: MaskPlan,
  queries: number,
  keys: number,
  group: number,
  rows: number,
): Schedule {
  return schedule(plan, blocksOf(plan, queries, keys), ({ qLength }) => qLength * group, rows);
}

/**
 * Tiles over the keys of each block, and over the keys that no block uses: their gradients are
 * zeros that somebody must write, so they form blocks without queries.
 */
export function keyTiles(plan: MaskPlan, queries: number, keys: number, rows: number): Schedule {
  const used = blocksOf(plan, queries, keys);
  const unused: Block[] = [];
  let end = 0;
  for (const { kStart, kLength } of [...used].sort((a, b) => a.kStart - b.kStart)) {
    if (kStart > end) unused.push(withoutQueries(end, kStart));
    end = Math.max(end, kStart + kLength);
  }
  if (keys > end) unused.push(withoutQueries(end, keys));
  return schedule(plan, [...used, ...unused], (block) => block.kLength, rows);
}

function withoutQueries(begin: number, end: number): Block {
  return { index: 0, qStart: 0, qLength: 0, kStart: begin, kLength: end - begin };
}

function schedule(
  plan: MaskPlan,
  blocks: Block[],
  lengthOf: (block: Block) => number,
  rows: number,
): Schedule {
  const tiles: number[] = [];
  blocks.forEach((block, index) => {
    for (let first = 0; first < lengthOf(block); first += rows) tiles.push(index, first);
  });
  const table = plan.pages?.table ?? [];
  const tableStarts: number[] = [];
  let entries = 0;
  for (const pages of table) {
    tableStarts.push(entries);
    entries += pages.length;
  }
  const places = blocks.flatMap(({ index, qStart, qLength, kStart, kLength }) => [
    qStart,
    qLength,
    kStart,
    kLength,
    tableStarts[index] ?? 0,
  ]);
  return {
    integers: Int32Array.from([...tiles, ...places, ...table.flat()]),
    tiles: tiles.length / 2,
    blockOffset: tiles.length,
    tableOffset: tiles.length + places.length,
  };
}
