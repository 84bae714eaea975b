// SPDX-License-Identifier: Apache-2.0
/**
 * When attention is shared out over the keys (wgsl/split.ts), and into how many pieces: pure functions of
 * device facts and shape, as those of tuning.ts.
 */
import type { AttentionDims } from '../spec/attention.js';
import { blocksOf } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { DIRECT_LANES } from './wgsl/direct.js';
import type { AttentionTile, DeviceFacts } from './tuning.js';

/** Rows are those of wgsl/split.ts, `keys` of them are attended at a time, `columnThreads` share one. */
export interface SplitTile extends AttentionTile {
  threads: number;
}

/** A call as the choice sees it. */
export interface SplitShape {
  /** Pieces of work of a single tile of rows and a single span: batch items or blocks, and heads. */
  items: number;
  /** Queries of an item, at most. */
  queries: number;
  /** Rows of an item: those queries, times the heads of a group. */
  rows: number;
  /** Keys of an item that its queries see, at most. */
  keys: number;
}

/**
 * More queries fill whole tiles. However few the keys are, they are shared out: their number grows while a
 * text is generated, and must not bring another pipeline midway.
 */
const MOST_QUERIES = { gpu: 16, software: 4 };

export function splitShape(plan: MaskPlan, dims: AttentionDims): SplitShape {
  const blocks = blocksOf(plan, dims.queries, dims.keys);
  let [queries, keys] = [0, 0];
  for (const { qLength, kLength } of blocks) {
    queries = Math.max(queries, qLength);
    keys = Math.max(keys, kLength);
  }
  return {
    queries,
    items: blocks.length * dims.batch * dims.kvHeads,
    rows: (queries * dims.heads) / dims.kvHeads,
    keys: Math.min(keys, plan.windowLeft + queries + plan.windowRight),
  };
}

export function isSplit(tile: AttentionTile): tile is SplitTile {
  return 'threads' in tile;
}

/** Floats from the sums of one sharer of a key to the next one's: eight keys further in the banks. */
export function splitPlane({ rows, keys }: SplitTile): number {
  return rows * keys + 8;
}

/** Floats of those sums; at the end a vector a thread takes their place. */
export function splitPlanes(tile: SplitTile): number {
  return Math.max(tile.columnThreads * splitPlane(tile), 4 * tile.threads);
}

/** Bytes of workgroup memory. */
export function splitStorage(tile: SplitTile): number {
  return 4 * (splitPlanes(tile) + tile.rows * tile.keys + tile.threads + tile.rows);
}

const powerOfTwo = (least: number): number => 2 ** Math.ceil(Math.log2(least));

/** Dot products in a thread's registers, and weights that it makes. */
const PRODUCTS = 16;
const SHARERS = 4;
const MOST_KEYS = 256;

function sharedTile(rows: number, threads: number): SplitTile {
  const keys = Math.min(MOST_KEYS, (PRODUCTS * threads) / SHARERS / rows);
  return { rows, keys, threadRows: rows, columnThreads: SHARERS, threads };
}

function directTile(rows: number): SplitTile {
  const threadRows = Math.min(4, powerOfTwo(rows));
  return { rows: threadRows, keys: 64, threadRows, columnThreads: 1, threads: DIRECT_LANES };
}

/** The tile of a call, or null where the programs for many queries are better. */
export function splitTile(facts: DeviceFacts, shape: SplitShape): SplitTile | null {
  if (shape.queries > (facts.software ? MOST_QUERIES.software : MOST_QUERIES.gpu)) return null;
  return splitCandidates(facts, shape)[0] ?? null;
}

/** The tiles that a device can run for a call, best first. */
export function splitCandidates(facts: DeviceFacts, shape: SplitShape): SplitTile[] {
  const { queries, keys, rows } = shape;
  if (queries > MOST_QUERIES.gpu || queries * keys === 0) return [];
  if (facts.software) return [directTile(rows)];
  return [128, 64]
    .map((threads) => sharedTile(Math.min(16, powerOfTwo(rows)), threads))
    .filter(({ threads }) => threads <= facts.maxInvocations)
    .filter((tile) => splitStorage(tile) <= facts.workgroupStorage);
}

/** Pieces of work that keep a device busy: workgroups of a GPU, threads of a software adapter. */
const PIECES = { gpu: 512, software: 64 };
/** More spans than this take longer to merge than they save. */
const MOST_SPLITS = 128;

/** How many spans of how many keys the keys of each item are shared out to. */
export function splitSpans(
  { software }: DeviceFacts,
  tile: SplitTile,
  { items, rows, keys }: SplitShape,
): { splits: number; span: number } {
  const pieces = items * Math.ceil(rows / tile.rows);
  const wanted = Math.ceil((software ? PIECES.software : PIECES.gpu) / pieces);
  // The threads of a software adapter's workgroup work on one item.
  const splits = Math.min(MOST_SPLITS, software ? Math.ceil(wanted / 4) * 4 : wanted);
  const span = Math.ceil(keys / splits / tile.keys) * tile.keys;
  return { splits: Math.max(1, Math.ceil(keys / span)), span };
}

/** Threads that merge the spans of a quad of the output (attention_split_merge.ts). */
export function mergeSlices({ software }: DeviceFacts, valueDim: number): number {
  return software ? 1 : Math.max(1, Math.min(8, Math.floor(128 / Math.ceil(valueDim / 4))));
}
