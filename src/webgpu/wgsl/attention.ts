// SPDX-License-Identifier: Apache-2.0
/** What the attention programs have in common: their variants, bindings, uniforms and tile loop. */
import type { FloatDType } from '../../spec/dtype.js';
import { reads } from '../program.js';
import type { Binding } from '../program.js';
import { threadsOf } from '../tuning.js';
import type { AttentionTile } from '../tuning.js';
import { BF16 } from './bf16.js';
import { MASK_UNIFORMS, maskCode } from './mask.js';
import type { MaskLayout } from './mask.js';
import { SCORE_UNIFORMS, scoreCode } from './scores.js';
import type { ScoreVariant } from './scores.js';
import { elementOf, fixedRows, quadsOf, readerOf } from './tensor.js';

/** All that is baked into an attention program; lengths and scalars are uniforms. */
export interface AttentionVariant extends ScoreVariant {
  /** Numbers in a head of query and key. */
  k: number;
  /** Numbers in a head of value. */
  v: number;
  /** dtype of query, key and value. */
  dtype: FloatDType;
  layout: MaskLayout;
  tile: AttentionTile;
}

export const ATTENTION_UNIFORMS = { ...MASK_UNIFORMS, ...SCORE_UNIFORMS };

/** Bindings of the inputs: query, key, value, then bias or mask data where there are any. */
export function attentionInputs({ k, v, dtype, bias, layout }: AttentionVariant): Binding[] {
  const inputs = [
    reads('q', elementOf(fixedRows('q', dtype, k))),
    reads('k', elementOf(fixedRows('k', dtype, k))),
    reads('v', elementOf(fixedRows('v', dtype, v))),
  ];
  if (bias !== 'none') inputs.push(reads('bias', 'u32'));
  if (layout !== 'dense') inputs.push(reads('meta_data', 'i32'));
  return inputs;
}

/** Constants, mask, scores and readers. `heads` is the axis that the workgroups are spread over. */
export function attentionPrelude(variant: AttentionVariant, heads: 'heads' | 'kv_heads'): string {
  const { k, v, dtype, tile, layout } = variant;
  const { rows, keys, threadRows, columnThreads } = tile;
  return /* wgsl */ `
const ROWS = ${rows};           // of the tile that the workgroup owns
const KEYS = ${keys};           // columns of a tile that is streamed past them
const PITCH = ${keys + 1}u;     // of workgroup arrays: one more than the columns, against bank conflicts
const TR = ${threadRows};       // rows of a thread
const CT = ${columnThreads}u;   // threads to a row
const TC = ${keys / columnThreads};       // columns of a thread: its number + CT * c
const K4 = ${quadsOf(k)}u;
const V4 = ${quadsOf(v)}u;
const KT = ${Math.ceil(quadsOf(k) / columnThreads)}; // quads of a row of K that a thread accumulates
const VT = ${Math.ceil(quadsOf(v) / columnThreads)};
${BF16}
${maskCode(layout, rows, heads)}
${scoreCode(variant)}
${readerOf(fixedRows('q', dtype, k))}
${readerOf(fixedRows('k', dtype, k))}
${readerOf(fixedRows('v', dtype, v))}
fn q_row(work: Work, head: u32, i: i32) -> u32 {
  return (work.batch * uniforms.queries + u32(work.block.q_start + i)) * uniforms.heads + head;
}
fn kv_row(work: Work, kv_head: u32, j: i32) -> u32 {
  return (work.batch * uniforms.keys + key_row(work.block, j)) * uniforms.kv_heads + kv_head;
}
`;
}

/** Threads of a workgroup of this variant. */
export function attentionWorkgroup({ tile }: AttentionVariant): number {
  return threadsOf(tile);
}

/** Quads of workgroup memory for a transposed tile of `quads` by the streamed columns. */
export function tileQuads({ tile }: AttentionVariant, quads: number): number {
  return quads * (tile.keys + 1);
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
