// SPDX-License-Identifier: Apache-2.0
/**
 * The frame of the attention programs for GPUs: a workgroup owns a tile of rows and streams columns
 * through workgroup memory. A thread owns TR rows and, of each, every CT-th column.
 *
 * Variables inside loops are initialised explicitly: WGSL says that they start at zero in each
 * round, and SwiftShader under Dawn was seen not to do so.
 */
import { threadsOf } from '../tuning.js';
import type { AttentionVariant } from './attention.js';
import { quadsOf } from './tensor.js';

/** Threads of a workgroup of this variant. */
export function tileWorkgroup({ tile }: AttentionVariant): number {
  return threadsOf(tile);
}

/** Constants of the frame. */
export function tileConstants({ k, v, tile }: AttentionVariant): string {
  const { keys, threadRows, columnThreads } = tile;
  return /* wgsl */ `
const PITCH = ${keys + 1}u; // of workgroup arrays: one more than the columns, against bank conflicts
const TR = ${threadRows};   // rows of a thread
const CT = ${columnThreads}u;   // threads to a row
const TC = ${keys / columnThreads};   // columns of a thread: its number + CT * c
const KT = ${Math.ceil(quadsOf(k) / columnThreads)};   // quads of a row of K that a thread accumulates
const VT = ${Math.ceil(quadsOf(v) / columnThreads)};
`;
}

/** Quads of workgroup memory for a transposed tile of rows of `quads`. */
export function tileQuads({ tile }: AttentionVariant, quads: number): number {
  return quads * (tile.keys + 1);
}

/** The same, for a tile whose quads are shared out to the threads of a row. */
export function sharedOutTileQuads(variant: AttentionVariant, quads: number): number {
  const { columnThreads } = variant.tile;
  return tileQuads(variant, Math.ceil(quads / columnThreads) * columnThreads);
}

/**
 * Statement that fills `target`[quad][column] with `source` of the columns first … end-1, zeros past
 * the end: a weight of zero times garbage might be NaN.
 */
export function loadTile(
  target: string,
  source: string,
  quads: string,
  columnRow: string,
  end: string,
): string {
  return /* wgsl */ `
    for (var n = lane; n < u32(KEYS) * ${quads}; n += WORKGROUP_SIZE) {
      let column = n / ${quads};
      let quad = n % ${quads};
      let at = first + i32(column);
      var value = vec4f(0.0);
      if (at < ${end}) { value = ${source}_at(${columnRow}, quad); }
      ${target}[quad * PITCH + column] = value;
    }`;
}
