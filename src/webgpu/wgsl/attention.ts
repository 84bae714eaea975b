// SPDX-License-Identifier: Apache-2.0
/** What all attention programs have in common: their variants, bindings, uniforms and functions. */
import type { FloatDType } from '../../spec/dtype.js';
import { reads } from '../program.js';
import type { Binding } from '../program.js';
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

/** Uniforms that say where heads lie, in rows of one head: see spec/attention_layout.ts. */
export const ROW_UNIFORMS = {
  q_batch: 'u32',
  q_row: 'u32',
  q_head: 'u32',
  kv_batch: 'u32',
  kv_row: 'u32',
  kv_head: 'u32',
  o_batch: 'u32',
  o_row: 'u32',
  o_head: 'u32',
  first_key: 'u32',
  first_value: 'u32',
} as const;

export const ATTENTION_UNIFORMS = { ...MASK_UNIFORMS, ...SCORE_UNIFORMS, ...ROW_UNIFORMS };

/** Query, key and value; each head is a row. */
export function attentionTensors({ k, v, dtype }: AttentionVariant) {
  return { q: fixedRows('q', dtype, k), k: fixedRows('k', dtype, k), v: fixedRows('v', dtype, v) };
}

/** Bindings of the inputs: query, key, value, then bias or mask data where there are any. */
export function attentionInputs(variant: AttentionVariant): Binding[] {
  const { bias, layout } = variant;
  const inputs = Object.values(attentionTensors(variant)).map((tensor) =>
    reads(tensor.name, elementOf(tensor)),
  );
  if (bias !== 'none') inputs.push(reads('bias', 'u32'));
  if (layout !== 'dense') inputs.push(reads('meta_data', 'i32'));
  return inputs;
}

/** WGSL functions that say where a row of the output is, and one of logSumExp. Needs the mask's. */
export const OUTPUT_ROWS = /* wgsl */ `
fn o_row(work: Work, head: u32, i: i32) -> u32 {
  return work.batch * uniforms.o_batch + u32(work.block.q_start + i) * uniforms.o_row + head * uniforms.o_head;
}
fn stats_row(work: Work, head: u32, i: i32) -> u32 {
  return (work.batch * uniforms.heads + head) * uniforms.queries + u32(work.block.q_start + i);
}`;

/** Mask, scores and readers. `heads` is the axis that the work is spread over. */
export function attentionPrelude(variant: AttentionVariant, heads: 'heads' | 'kv_heads'): string {
  const { k, v, tile, layout } = variant;
  return /* wgsl */ `
const ROWS = ${tile.rows}; // queries (or keys) of one piece of work
const KEYS = ${tile.keys}; // keys (or queries) that are streamed past them at a time
const K4 = ${quadsOf(k)}u;
const V4 = ${quadsOf(v)}u;
${BF16}
${maskCode(layout, tile.rows, heads)}
${scoreCode(variant)}
${Object.values(attentionTensors(variant)).map(readerOf).join('\n')}
fn q_row(work: Work, head: u32, i: i32) -> u32 {
  return work.batch * uniforms.q_batch + u32(work.block.q_start + i) * uniforms.q_row + head * uniforms.q_head;
}
fn kv_row(work: Work, kv_head: u32, j: i32) -> u32 {
  return work.batch * uniforms.kv_batch + key_row(work.block, j) * uniforms.kv_row + kv_head * uniforms.kv_head;
}
fn k_row(work: Work, kv_head: u32, j: i32) -> u32 { return kv_row(work, kv_head, j) + uniforms.first_key; }
fn v_row(work: Work, kv_head: u32, j: i32) -> u32 { return kv_row(work, kv_head, j) + uniforms.first_value; }
${OUTPUT_ROWS}
`;
}

/** WGSL test whether all of a tile is visible, so that its elements need none. */
export function fullTile(
  variant: AttentionVariant,
  i0: string,
  i1: string,
  j0: string,
  j1: string,
) {
  return variant.bias === 'none' ? `all_visible(block, ${i0}, ${i1}, ${j0}, ${j1})` : 'false';
}
