// SPDX-License-Identifier: Apache-2.0
/**
 * How norms are shared out to threads: pure functions of device facts and shape, as those of tuning.ts.
 *
 * Which programs run depends on the length of a row, never on the number of rows: that is the number of
 * tokens, and another one must not bring new pipelines midway. Few rows are served all the same: long ones are
 * cut into segments, of a size that is a uniform, and the others fit the registers of one workgroup, so
 * that few of them take as long as their memory does to answer.
 */
import type { DeviceFacts } from './tuning.js';
import { quadsOf } from './wgsl/tensor.js';

/** Values that one read of the programs for software adapters takes; theirs are rows of whole blocks. */
export const NORM_BLOCK = 16;

export type NormTile =
  /** A thread takes a row or two, in blocks of 16 values: wgsl/direct.ts says why. */
  | { by: 'blocks' }
  /** A thread takes a row of any length. */
  | { by: 'thread' }
  /** `lanes` threads take a row, with `quads` quads of it in the registers of each. */
  | { by: 'lanes'; lanes: number; quads: number }
  /** Workgroups of `lanes` threads take a segment of a row each, in two stages. */
  | { by: 'segments'; lanes: number };

const MOST_LANES = 256;
/** Quads of a row that a thread can keep. */
const MOST_QUADS = 8;
/** From so many quads on a row has enough threads to give each of them four: more loads in flight. */
const LONG_ROW = 256;

function lanesTile(lanes: number, rowQuads: number): NormTile {
  return { by: 'lanes', lanes, quads: Math.ceil(rowQuads / lanes) };
}

/** The tile for rows of `columns` values. */
export function normTile(facts: DeviceFacts, columns: number): NormTile {
  if (facts.software) return { by: columns % NORM_BLOCK === 0 ? 'blocks' : 'thread' };
  const quads = quadsOf(columns);
  const most = Math.min(MOST_LANES, facts.maxInvocations);
  if (quads > MOST_QUADS * most) return { by: 'segments', lanes: most };
  const wanted = quads / (quads < LONG_ROW ? 2 : 4);
  let lanes = 1;
  while (lanes < wanted && lanes < most) lanes *= 2;
  return lanesTile(lanes, quads);
}

/** What else a device can run for these rows, for `autotune`. */
export function otherNormTiles(facts: DeviceFacts, columns: number): NormTile[] {
  if (facts.software) return [];
  const quads = quadsOf(columns);
  const most = Math.min(MOST_LANES, facts.maxInvocations);
  const tiles: NormTile[] = quads >= LONG_ROW ? [{ by: 'segments', lanes: most }] : [];
  for (let lanes = 1; lanes <= most; lanes *= 2) {
    const perLane = Math.ceil(quads / lanes);
    if (perLane <= MOST_QUADS && (lanes === 1 || lanes < 2 * quads)) {
      tiles.push(lanesTile(lanes, quads));
    }
  }
  return tiles;
}

/** Workgroups that keep a GPU busy. */
const GROUPS = 1024;
/** Every workgroup of the second stage adds up the sums of all segments of its row. */
const MOST_SEGMENTS = 256;
/** Quads of a segment for each thread, unless there would be too many segments: it is read twice, once from cache. */
const SEGMENT_QUADS = { least: 2, most: 8 };

/** Segments of a row, and quads of each but the last: fewer and longer ones where there are many rows. */
export function normSegments(
  lanes: number,
  rows: number,
  columns: number,
): { segments: number; quads: number } {
  const rowQuads = quadsOf(columns);
  const perLane = Math.ceil((rows * rowQuads) / GROUPS / lanes);
  const { least, most } = SEGMENT_QUADS;
  const needed = Math.ceil(rowQuads / MOST_SEGMENTS / lanes);
  const quads = lanes * Math.max(least, Math.min(most, perLane), needed);
  return { segments: Math.ceil(rowQuads / quads), quads };
}

/** Threads of a workgroup that adds up columns: `columns` quads wide, `lanes` threads to each. */
export interface ColumnTile {
  columns: number;
  lanes: number;
}

const MOST_COLUMNS = 64;

/** A software adapter has a thread for each column, and no more threads without one than this. */
const SOFTWARE_COLUMNS: ColumnTile = { columns: 16, lanes: 1 };

/** For dgamma and dbeta of rows of `length` values. */
export function normColumnTile(facts: DeviceFacts, length: number): ColumnTile {
  if (facts.software) return SOFTWARE_COLUMNS;
  const most = Math.min(MOST_COLUMNS, facts.maxInvocations / 4);
  let columns = 1;
  while (columns < quadsOf(length) && columns < most) columns *= 2;
  return { columns, lanes: Math.min(MOST_LANES, facts.maxInvocations) / columns };
}

/** For the sums of the blocks' sums: few columns and many lanes, as all of it is short. */
export function normColumnSumTile(facts: DeviceFacts): ColumnTile {
  if (facts.software) return SOFTWARE_COLUMNS;
  return { columns: 4, lanes: Math.min(MOST_LANES, facts.maxInvocations) / 4 };
}

/** Rows of a block in the weights' gradients, whose sums are written and added up after that. */
export function normBlockRows(
  facts: DeviceFacts,
  tile: ColumnTile,
  rows: number,
  length: number,
): number {
  // About as many blocks as rows in a block, so that neither loop of the two programs is long.
  if (facts.software) return Math.max(32, Math.ceil(Math.sqrt(rows)));
  const groups = Math.ceil(quadsOf(length) / tile.columns);
  return Math.max(8 * tile.lanes, Math.ceil((rows * groups) / GROUPS));
}
