// SPDX-License-Identifier: Apache-2.0
/**
 * The frame of the attention programs for software adapters: a thread owns a few rows and streams
 * columns straight from the buffers. No workgroup memory and no barrier, which cost more than the
 * arithmetic there. Sums stay in scalars, so the innermost products are written out; all other
 * loops are left rolled, because a compiler that unrolls them takes seconds.
 */
import type { AttentionVariant } from './attention.js';

/** Threads of a workgroup; each works on its own. */
export const DIRECT_WORKGROUP = 8;

/** `count` pieces of source, one for each index. */
export function unroll(count: number, piece: (index: number) => string, separator = '\n'): string {
  return Array.from({ length: count }, (_, index) => piece(index)).join(separator);
}

/** The rows of the streamed columns of this round: as scalars, and as an array. */
export function columnRows({ tile }: AttentionVariant, row: (at: string) => string): string {
  // Columns past the end repeat the last one; their scores are hidden.
  const rows = unroll(
    tile.keys,
    (c) => `let column${c} = ${row(`min(first + ${c}, range.y - 1)`)};`,
  );
  const list = unroll(tile.keys, (c) => `column${c}`, ', ');
  return `${rows}
var columns = array<u32, KEYS>(${list});
let column_count = min(KEYS, range.y - first);`;
}

/**
 * Fills the array `target`[row * KEYS + column] with the dot products of `rowSource` of the rows in
 * `rows` and `columnSource` of the columns.
 */
export function dotProducts(
  { tile }: AttentionVariant,
  target: string,
  rowSource: string,
  rows: string,
  columnSource: string,
  quads: string,
): string {
  const { rows: R, keys: C } = tile;
  const sum = (r: number, c: number) => `${target}_${r}_${c}`;
  return /* wgsl */ `
${unroll(R, (r) => unroll(C, (c) => `var ${sum(r, c)} = 0.0;`, ' '))}
for (var quad = 0u; quad < ${quads}; quad++) {
${unroll(C, (c) => `let y${c} = ${columnSource}_at(column${c}, quad);`)}
${unroll(
  R,
  (r) =>
    `{ let x = ${rowSource}_at(${rows}[${r}], quad); ${unroll(C, (c) => `${sum(r, c)} += dot(x, y${c});`, ' ')} }`,
)}
}
${unroll(R, (r) => unroll(C, (c) => `${target}[${r * C + c}] = ${sum(r, c)};`, ' '))}`;
}

/**
 * acc[row * quads + quad] = acc × shrink + sum over columns of weights × `source`. Where not all of
 * the tile is visible a weight of zero is skipped: the hidden column may be NaN or infinite.
 */
export function accumulate(
  { tile }: AttentionVariant,
  acc: string,
  weights: string,
  source: string,
  quads: string,
  shrink: (row: number) => string,
): string {
  const { rows: R, keys: C } = tile;
  const weight = (r: number, c: number) => `${acc}_${r}_${c}`;
  const at = (r: number) => `${acc}[${r}u * ${quads} + n]`;
  const sum = (r: number) => unroll(C, (c) => `${weight(r, c)} * y${c}`, ' + ');
  return /* wgsl */ `
${unroll(R, (r) => unroll(C, (c) => `let ${weight(r, c)} = ${weights}[${r * C + c}];`, ' '))}
for (var n = 0u; n < ${quads}; n++) {
  if (full) {
${unroll(C, (c) => `let y${c} = ${source}_at(column${c}, n);`)}
${unroll(R, (r) => `${at(r)} = ${at(r)}${shrink(r)} + ${sum(r)};`)}
  } else {
${unroll(R, (r) => `${at(r)} = ${at(r)}${shrink(r)};`)}
    for (var c = 0; c < column_count; c++) {
      let y = ${source}_at(columns[c], n);
      for (var r = 0; r < ROWS; r++) {
        let weight = ${weights}[r * KEYS + c];
        if (weight != 0.0) { ${acc}[u32(r) * ${quads} + n] += weight * y; }
      }
    }
  }
}`;
}
