// SPDX-License-Identifier: Apache-2.0
/**
 * Row-wise access to a tensor in groups of four values ("quads"), whatever its storage.
 *
 * A tensor is rows of `length` values (its last axis). `name_at(row, i)` reads values 4i … 4i+3 of a
 * row as a vec4<f32>, zeros past the row's end; `name_put(row, i, v)` writes them. Where the length
 * is a multiple of four the buffer is an array of vectors, else of scalars; bfloat16 is two values to
 * a word, each row padded to whole words.
 */
import type { FloatDType } from '../../spec/dtype.js';

export interface RowTensor {
  name: string;
  dtype: FloatDType;
  /** Row length as a WGSL u32 expression: a literal, or a uniform for one pipeline per alignment. */
  length: string;
  /** Whether the length is a multiple of four. */
  aligned: boolean;
  /** Quads in a row, where rows are elements of the buffer: those of fixed, aligned length. */
  rowQuads?: number;
}

/** A tensor whose row length is baked into the source: head sizes, never sequence lengths. */
export function fixedRows(name: string, dtype: FloatDType, length: number): RowTensor {
  const tensor = { name, dtype, length: `${length}u` };
  if (length % 4 !== 0) return { ...tensor, aligned: false };
  return { ...tensor, aligned: true, rowQuads: length / 4 };
}

/** A tensor seen as blocks of so many quads, whatever the length of its rows; they must divide it. */
export function blockRows(name: string, dtype: FloatDType, quads: number): RowTensor {
  return { name, dtype, length: `${4 * quads}u`, aligned: true, rowQuads: quads };
}

/** WGSL element type of the tensor's buffer. */
export function elementOf({ dtype, aligned, rowQuads }: RowTensor): string {
  if (!aligned) return dtype === 'float32' ? 'f32' : 'u32';
  const quad = dtype === 'float32' ? 'vec4<f32>' : 'vec2<u32>';
  return rowQuads === undefined ? quad : `array<${quad}, ${rowQuads}>`;
}

/** Quads in a row, the last one perhaps partly zeros. */
export function quadsOf(length: number): number {
  return Math.ceil(length / 4);
}

/** A quad of an aligned row, by its place in the buffer. */
function quadAt({ name, length, rowQuads }: RowTensor): string {
  return rowQuads === undefined ? `${name}[row * (${length} / 4u) + i]` : `${name}[row][i]`;
}

const narrow = `vec2u(bf16_pack(v.x, v.y), bf16_pack(v.z, v.w))`;

function widened({ dtype }: RowTensor, quad: string): string {
  return dtype === 'float32' ? quad : `bf16_quad(${quad})`;
}

/**
 * Declares \`handle\`, a row that is read more than once. The bounds of the buffer are then checked
 * once for the row, not for each quad.
 */
export function rowHandle(tensor: RowTensor, handle: string, row: string): string {
  const { name, rowQuads } = tensor;
  return rowQuads === undefined ? `let ${handle} = ${row};` : `let ${handle} = &${name}[${row}];`;
}

/** Reads a quad of such a row. Needs the reader as well. */
export function handleQuad(tensor: RowTensor, handle: string, i: string): string {
  if (tensor.rowQuads === undefined) return `${tensor.name}_at(${handle}, ${i})`;
  return widened(tensor, `(*${handle})[${i}]`);
}

/** WGSL function that reads four values. Needs wgsl/bf16.ts for bfloat16. */
export function readerOf(tensor: RowTensor): string {
  const { name, dtype, length, aligned } = tensor;
  const head = `fn ${name}_at(row: u32, i: u32) -> vec4f`;
  if (aligned) return `${head} { return ${widened(tensor, quadAt(tensor))}; }`;
  // Straight-line code, indices held inside the row: software adapters compile loops slowly.
  if (dtype === 'float32') {
    return `${head} {
  let left = ${length} - 4u * i;
  let at = vec4u(row * ${length} + 4u * i) + min(vec4u(0u, 1u, 2u, 3u), vec4u(left - 1u));
  let quad = vec4f(${name}[at.x], ${name}[at.y], ${name}[at.z], ${name}[at.w]);
  return select(vec4f(0.0), quad, vec4u(0u, 1u, 2u, 3u) < vec4u(left));
}`;
  }
  return `${head} {
  let width = (${length} + 1u) / 2u;
  let at = row * width + 2u * i;
  let has_second = 2u * i + 1u < width;
  let words = vec2u(${name}[at], select(0u, ${name}[select(at, at + 1u, has_second)], has_second));
  return bf16_quad(words);
}`;
}

/** WGSL function that writes four values; those past the row's end must be zeros for bfloat16. */
export function writerOf(tensor: RowTensor): string {
  const { name, dtype, length, aligned } = tensor;
  const head = `fn ${name}_put(row: u32, i: u32, v: vec4f)`;
  if (aligned) return `${head} { ${quadAt(tensor)} = ${dtype === 'float32' ? 'v' : narrow}; }`;
  if (dtype === 'float32') {
    return `${head} {
  let end = min(4u, ${length} - min(${length}, 4u * i));
  for (var n = 0u; n < end; n++) { ${name}[row * ${length} + 4u * i + n] = v[n]; }
}`;
  }
  return `${head} {
  let width = (${length} + 1u) / 2u;
  let packed = ${narrow};
  let end = min(2u, width - min(width, 2u * i));
  for (var n = 0u; n < end; n++) { ${name}[row * width + 2u * i + n] = packed[n]; }
}`;
}

/** WGSL function that zeroes the lanes of a quad that lie past the row's end. */
export function tailMask({ length, aligned }: Pick<RowTensor, 'length' | 'aligned'>): string {
  if (aligned) return 'fn in_row(v: vec4f, i: u32) -> vec4f { return v; }';
  return `fn in_row(v: vec4f, i: u32) -> vec4f {
  return select(vec4f(0.0), v, vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(${length}));
}`;
}
