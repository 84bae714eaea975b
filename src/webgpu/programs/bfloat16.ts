// SPDX-License-Identifier: Apache-2.0
/**
 * Storage conversion: y = bfloat16(x) and back, one row of the last axis at a time.
 *
 * One thread owns one int32 word, that is two neighbouring values. One pass, no workgroup memory,
 * integer arithmetic only, so subnormals and NaN keep their bits on every device.
 */
import { packedLength } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';

const WORKGROUP = 64;

function wordLoop(body: string): string {
  return /* wgsl */ `
fn run(group: u32, lane: u32) {
  let at = group * WORKGROUP_SIZE + lane;
  if (at >= uniforms.rows * uniforms.words) { return; }
  let row = at / uniforms.words;
  let i = 2u * (at % uniforms.words);
  let first = row * uniforms.length + i;
  let has_second = i + 1u < uniforms.length;
  ${body}
}`;
}

/** Reads float32 bits, writes packed words. */
export const packProgram: Program = {
  name: 'BFloat16Pack',
  key: '',
  bindings: [reads('x', 'u32'), writes('packed', 'u32')],
  uniforms: { rows: 'u32', length: 'u32', words: 'u32' },
  workgroupSize: WORKGROUP,
  code: () =>
    /* wgsl */ `${BF16}${wordLoop(`
  var high = 0u;
  if (has_second) { high = bf16_round_bits(x[first + 1u]); }
  packed[at] = bf16_round_bits(x[first]) | (high << 16u);`)}`,
};

/** Reads packed words, writes float32 bits. */
export const unpackProgram: Program = {
  name: 'BFloat16Unpack',
  key: '',
  bindings: [reads('packed', 'u32'), writes('y', 'u32')],
  uniforms: { rows: 'u32', length: 'u32', words: 'u32' },
  workgroupSize: WORKGROUP,
  code: () =>
    wordLoop(`
  let word = packed[at];
  y[first] = word << 16u;
  if (has_second) { y[first + 1u] = word & 0xffff0000u; }`),
};

/** Uniforms and number of workgroups for a tensor of `size` values in rows of `length`. */
export function conversionGrid(size: number, length: number) {
  const words = packedLength(length);
  const rows = length === 0 ? 0 : size / length;
  return { uniforms: { rows, length, words }, groups: Math.ceil((rows * words) / WORKGROUP) };
}
