// SPDX-License-Identifier: Apache-2.0
/**
 * Copies rows of one tensor into another, batch item by batch item:
 *
 *     to[b, to_first + r, :] = from[b, from_first + r, :]    r = 0 … count - 1
 *
 * One thread owns one 32-bit word, which may hold two bfloat16 values. One pass, no workgroup memory.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';

const WORKGROUP = 64;

export const copyRowsProgram: Program = {
  name: 'CopyRows',
  key: '',
  bindings: [reads('source', 'u32'), writes('target_words', 'u32')],
  uniforms: {
    batch: 'u32',
    count: 'u32',
    width: 'u32',
    from_rows: 'u32',
    from_first: 'u32',
    to_rows: 'u32',
    to_first: 'u32',
  },
  workgroupSize: WORKGROUP,
  code: () => /* wgsl */ `
fn run(group: u32, lane: u32) {
  let at = group * WORKGROUP_SIZE + lane;
  let words = uniforms.count * uniforms.width;
  if (at >= uniforms.batch * words) { return; }
  let item = at / words;
  let word = at % words;
  let read = (item * uniforms.from_rows + uniforms.from_first) * uniforms.width + word;
  let write = (item * uniforms.to_rows + uniforms.to_first) * uniforms.width + word;
  target_words[write] = source[read];
}`,
};

/** Number of workgroups that copy `words` words. */
export function copyGroups(words: number): number {
  return Math.ceil(words / WORKGROUP);
}
