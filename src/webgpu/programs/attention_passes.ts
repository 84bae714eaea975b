// SPDX-License-Identifier: Apache-2.0
/**
 * What the tiled and the direct program of an attention pass share: name, key, bindings, uniforms,
 * the functions that read and write its tensors, and how a row of the forward pass ends.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Binding, Program } from '../program.js';
import { ATTENTION_UNIFORMS, attentionInputs, attentionPrelude } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import { elementOf, fixedRows, readerOf, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';

export interface AttentionForwardVariant extends AttentionVariant {
  output: FloatDType;
  sink: boolean;
}

export interface AttentionPassInterface extends Pick<
  Program,
  'name' | 'key' | 'bindings' | 'uniforms'
> {
  /** WGSL that the program's own begins with. */
  prelude: string;
}

function passInterface(
  name: string,
  variant: AttentionVariant,
  heads: 'heads' | 'kv_heads',
  rest: Binding[],
  functions: string[],
): AttentionPassInterface {
  return {
    name,
    key: JSON.stringify(variant),
    bindings: [...attentionInputs(variant), ...rest],
    uniforms: ATTENTION_UNIFORMS,
    prelude: `${attentionPrelude(variant, heads)}\n${functions.join('\n')}`,
  };
}

/**
 * `end_row` turns a row's running maximum and sum into the factor of its accumulator and its
 * logSumExp. A row that no key is visible to gets 0 and -Infinity, the latter by its bits.
 */
export function endRow(sink: boolean): string {
  const addSink = /* wgsl */ `
  let sink_score = sink[head] * LOG2E;
  peak = max(peak, sink_score);
  share = exp2(running_max - peak);
  total = total * share + exp2(sink_score - peak);`;
  return /* wgsl */ `
struct RowEnd { factor: f32, lse_bits: u32, any_key: bool }
fn end_row(head: u32, running_max: f32, running_sum: f32) -> RowEnd {
  let any_key = bitcast<u32>(running_sum) != 0u; // by its bits, so that NaN counts and shows
  var peak = running_max;
  var share = 1.0;
  var total = running_sum;${sink ? addSink : ''}
  let natural = bitcast<u32>((peak + log2(total)) * LN2);
  return RowEnd(select(0.0, share / total, any_key), select(0xff800000u, natural, any_key), any_key);
}
fn end_value(value: vec4f, end: RowEnd) -> vec4f {
  return select(vec4f(0.0), value * end.factor, end.any_key);
}`;
}

/** Bindings after the inputs: sink if any, o, lse. */
export function forwardPass(variant: AttentionForwardVariant): AttentionPassInterface {
  const output = fixedRows('o', variant.output, variant.v);
  return passInterface(
    'MemoryEfficientAttention',
    variant,
    'heads',
    [
      ...(variant.sink ? [reads('sink', 'f32')] : []),
      writes('o', elementOf(output)),
      writes('lse', 'u32'),
    ],
    [writerOf(output), endRow(variant.sink)],
  );
}

function backwardPass(
  name: string,
  variant: AttentionVariant,
  heads: 'heads' | 'kv_heads',
  results: RowTensor[],
): AttentionPassInterface {
  const gradient = fixedRows('d_o', 'float32', variant.v);
  return passInterface(
    name,
    variant,
    heads,
    [
      reads('d_o', elementOf(gradient)),
      reads('row_stats', 'vec2<f32>'),
      ...results.map((result) => writes(result.name, elementOf(result))),
    ],
    [readerOf(gradient), ...results.map(writerOf)],
  );
}

/** Bindings after the inputs: d_o, row_stats, dq. */
export function dqPass(variant: AttentionVariant): AttentionPassInterface {
  const results = [fixedRows('dq', 'float32', variant.k)];
  return backwardPass('MemoryEfficientAttentionGradDq', variant, 'heads', results);
}

export interface AttentionDkdvVariant extends AttentionVariant {
  /** Whether dk and dv are rows of one tensor. */
  packed: boolean;
}

/** Bindings after the inputs: d_o, row_stats, and dk and dv or, packed, the tensor of both. */
export function dkdvPass(variant: AttentionDkdvVariant): AttentionPassInterface {
  const name = 'MemoryEfficientAttentionGradDkDv';
  const dk = fixedRows('dk', 'float32', variant.k);
  if (!variant.packed) {
    const results = [dk, fixedRows('dv', 'float32', variant.v)];
    return backwardPass(name, variant, 'kv_heads', results);
  }
  // A buffer can be bound for writing once only.
  const pass = backwardPass(name, variant, 'kv_heads', [dk]);
  const dvPut = 'fn dv_put(row: u32, i: u32, v: vec4f) { dk_put(row, i, v); }';
  return { ...pass, prelude: `${pass.prelude}\n${dvPut}` };
}
