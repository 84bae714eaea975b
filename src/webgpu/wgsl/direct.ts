// SPDX-License-Identifier: Apache-2.0
/**
 * The blocks that attention programs for software adapters are made of. Such adapters run four
 * threads in lockstep on vector instructions. Arithmetic and `let` values are cheap there; a read of
 * memory at a computed index costs as much as ten to twenty multiplications, a barrier far more, and
 * each line is compiled as it stands, loops being the only way to keep a shader small.
 *
 * Hence: a workgroup is four threads without barriers, a thread owns `threadRows` rows, and products
 * are taken of as many rows and columns at a time as fit in scalars, all loops around them rolled.
 * With `quads` (WGSL's quad operations; the device needs subgroups) each thread reads a fourth of the
 * columns and gets the others from its neighbours. Column c of a group of four is then another one
 * in each thread: c xor the thread's lane; what depends on it asks `column_of`.
 *
 * Arrays are private: workgroup memory is set to zero behind a barrier, which triples the code.
 */
import type { AttentionTile } from '../tuning.js';
import { handleQuad, rowHandle } from './tensor.js';
import type { RowTensor } from './tensor.js';

/** Threads of a workgroup: those that quad operations work on. */
export const DIRECT_LANES = 4;

/** How many quads of an accumulator's row of `quads` are summed at a time. */
function chunkOf(quads: number): number {
  return Math.min(4, quads);
}

/** `count` pieces of source, one for each index. */
export function unroll(count: number, piece: (index: number) => string, separator = '\n'): string {
  return Array.from({ length: count }, (_, index) => piece(index)).join(separator);
}

/** Groups of four columns whose products are taken at a time. */
const GROUPS = 2;

/** Vectors of each thread in an array of scores or weights: for each group of columns, each row. */
export function weightVectors({ keys, threadRows }: AttentionTile): number {
  return (keys / 4) * threadRows;
}

/** Vectors of each thread in an accumulator of rows of so many quads: for each quad, each row. */
export function accumulatorVectors({ threadRows }: AttentionTile, quads: number): number {
  return Math.ceil(quads / chunkOf(quads)) * chunkOf(quads) * threadRows;
}

/** WGSL constants and functions that the blocks use. */
export function directCode(tile: AttentionTile): string {
  return /* wgsl */ `
const OWN = ${tile.threadRows}; // rows of a thread
// Vectors on their way between scalars and arrays: moving them in a loop takes less code.
var<private> stage: array<vec4f, ${4 * tile.threadRows}>;
// Which column of a group of four is the thread's c-th.
fn column_of(lane: u32, c: u32) -> i32 { return i32(${tile.quads ? 'c ^ lane' : 'c'}); }
// How many groups of four columns hold \`count\` of them, in whole steps of the products.
fn groups_of(count: i32) -> u32 {
  const STEP = ${4 * GROUPS};
  return u32(min(KEYS, (count + STEP - 1) / STEP * STEP)) / 4u;
}
fn highest_of(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
// 1 if a quad holds a NaN or an infinity, else 0.
fn not_finite(v: vec4f) -> u32 {
  let exponents = bitcast<vec4u>(v) & vec4u(0x7f800000u);
  let top = max(max(exponents.x, exponents.y), max(exponents.z, exponents.w));
  return select(0u, 1u, top == 0x7f800000u);
}`;
}

/** A tensor of columns, and its row that holds column \`at\`; the last one stands in for those past the end. */
export interface Columns {
  tensor: RowTensor;
  row(at: string): string;
}

/** Declares the handles of the four columns from \`first\` on: one, or four. */
function columnHandles({ quads }: AttentionTile, columns: Columns, name: string, first: string) {
  const handle = (suffix: string, offset: string) =>
    rowHandle(
      columns.tensor,
      `${name}${suffix}`,
      columns.row(`min(${first} + ${offset}, range.y - 1)`),
    );
  return quads ? handle('_0', 'i32(lane)') : unroll(4, (c) => handle(`_${c}`, `${c}`), ' ');
}

/** Declares name0 to name3, one quad of each of the four columns. */
function columnQuads(
  { quads }: AttentionTile,
  { tensor }: Columns,
  handle: string,
  i: string,
  name: string,
): string {
  if (!quads) {
    return unroll(4, (c) => `let ${name}${c} = ${handleQuad(tensor, `${handle}_${c}`, i)};`, ' ');
  }
  return `let ${name}0 = ${handleQuad(tensor, `${handle}_0`, i)};
let ${name}1 = quadSwapX(${name}0); let ${name}2 = quadSwapY(${name}0); let ${name}3 = quadSwapDiagonal(${name}0);`;
}

/** Declares a handle for each of the thread's rows: name_0, name_1, … */
export function rowHandles(
  { threadRows }: AttentionTile,
  tensor: RowTensor,
  name: string,
  row: (r: number) => string,
): string {
  return unroll(threadRows, (r) => rowHandle(tensor, `${name}_${r}`, row(r)));
}

/**
 * The dot products of the thread's rows and `groups` groups of columns from `first` on, into the
 * array `target`. `finish` is code for each vector of them, `s`, of row r, before it is stored.
 */
export function dotProducts(
  tile: AttentionTile,
  target: string,
  rows: { tensor: RowTensor; handles: string },
  columns: Columns,
  quads: number,
  finish: (r: number) => string = () => '',
): string {
  const R = tile.threadRows;
  const sum = (r: number, c: number) => `sum${r}_${c}`;
  const quadOfRow = (r: number) => handleQuad(rows.tensor, `${rows.handles}_${r}`, 'quad');
  const store = (r: number, g: number) =>
    `{ var s = vec4f(${unroll(4, (c) => sum(r, 4 * g + c), ', ')}); ${finish(r)} stage[${g * R + r}] = s; }`;
  return /* wgsl */ `
for (var step = 0u; step < groups; step += ${GROUPS}u) {
${unroll(GROUPS, (g) => columnHandles(tile, columns, `column${g}`, `first + i32(4u * step) + ${4 * g}`))}
${unroll(R, (r) => unroll(4 * GROUPS, (c) => `var ${sum(r, c)} = 0.0;`, ' '))}
  for (var quad = 0u; quad < ${quads}u; quad++) {
${unroll(GROUPS, (g) => columnQuads(tile, columns, `column${g}`, 'quad', `y${g}_`))}
${unroll(
  R,
  (r) =>
    `{ let x = ${quadOfRow(r)}; ${unroll(4 * GROUPS, (c) => `${sum(r, c)} += dot(x, y${c >> 2}_${c & 3});`, ' ')} }`,
)}
  }
${unroll(GROUPS, (g) => unroll(R, (r) => store(r, g)))}
  for (var n = 0u; n < ${GROUPS * R}u; n++) { ${target}[step * ${R}u + n] = stage[n]; }
}`;
}

/** The OR of a bool over the four threads, which all of them get. */
function anyThread({ quads }: AttentionTile, name: string): string {
  if (!quads) return '';
  return `${name} |= quadSwapX(${name}); ${name} |= quadSwapY(${name});`;
}

/**
 * accumulator[quad][row] = that, times `shrink` of row n % OWN, + sum over columns of `weights` ×
 * column. Hidden columns may hold NaN or infinities, which zero times is not zero: where `hidden` (a
 * u32 variable, 1 if the thread has hidden scores in this tile) they are looked for, and such a tile
 * is summed with the columns of no weight left out, in the same order, so that the other rows keep
 * their bits. Loops that do not run are the only branches that cost nothing here.
 */
export function accumulate(
  tile: AttentionTile,
  accumulator: string,
  weights: string,
  columns: Columns,
  quads: number,
  shrink = '',
): string {
  const R = tile.threadRows;
  const size = chunkOf(quads);
  const { tensor } = columns;
  const sum = (r: number, n: number) => `sum${r}_${n}`;
  const parts = ['x', 'y', 'z', 'w'];
  // By component: four columns' values of one component, so that a sum over columns is one dot.
  const transposed = parts.map((p) => `let by_${p} = vec4f(y0.${p}, y1.${p}, y2.${p}, y3.${p});`);
  const dots = (r: number) => parts.map((p) => `dot(weight${r}, by_${p})`).join(', ');
  const ownColumns = tile.quads ? 1 : 4;
  const column = `min(first + i32(4u * at + ${tile.quads ? 'lane' : 'c'}), range.y - 1)`;
  return /* wgsl */ `
{
  var odd = 0u;
  var suspect = hidden;
  ${anyThread(tile, 'suspect')}
  for (var at = 0u; at < groups * suspect; at++) {
    for (var c = 0u; c < ${ownColumns}u; c++) {
${rowHandle(tensor, 'column', columns.row(column))}
      for (var n = 0u; n < ${quads}u; n++) { odd |= not_finite(${handleQuad(tensor, 'column', 'n')}); }
    }
  }
  ${anyThread(tile, 'odd')}
  let groups_at_once = groups * (1u - odd);
  for (var chunk = 0u; chunk < ${quads}u; chunk += ${size}u) {
    for (var n = 0u; n < ${size * R}u; n++) { stage[n] = ${accumulator}[chunk * ${R}u + n]${shrink}; }
${unroll(R, (r) => unroll(size, (n) => `var ${sum(r, n)} = stage[${n * R + r}];`, ' '))}
    for (var at = 0u; at < groups_at_once; at++) {
${columnHandles(tile, columns, 'column', 'first + i32(4u * at)')}
${unroll(R, (r) => `let weight${r} = ${weights}[at * ${R}u + ${r}u];`, ' ')}
${unroll(
  size,
  (n) => `{
${columnQuads(tile, columns, 'column', `min(chunk + ${n}u, ${quads - 1}u)`, 'y')}
    ${transposed.join(' ')}
${unroll(R, (r) => `    ${sum(r, n)} += vec4f(${dots(r)});`)}
}`,
)}
    }
${unroll(R, (r) => unroll(size, (n) => `stage[${n * R + r}] = ${sum(r, n)};`, ' '))}
    for (var n = 0u; n < ${size * R}u; n++) { ${accumulator}[chunk * ${R}u + n] = stage[n]; }
  }
  for (var at = 0u; at < groups * odd; at++) {
    for (var n = 0u; n < ${quads}u; n++) {
      var by_x = vec4f(); var by_y = vec4f(); var by_z = vec4f(); var by_w = vec4f();
      for (var c = 0u; c < 4u; c++) {
${rowHandle(tensor, 'column', columns.row('min(first + i32(4u * at) + column_of(lane, c), range.y - 1)'))}
        let y = ${handleQuad(tensor, 'column', 'n')};
        by_x[c] = y.x; by_y[c] = y.y; by_z[c] = y.z; by_w[c] = y.w;
      }
      for (var r = 0u; r < ${R}u; r++) {
        let weight = ${weights}[at * ${R}u + r];
        let seen = weight != vec4f(0.0);
        ${accumulator}[n * ${R}u + r] += vec4f(${parts
          .map((p) => `dot(weight, select(vec4f(0.0), by_${p}, seen))`)
          .join(', ')});
      }
    }
  }
}`;
}
