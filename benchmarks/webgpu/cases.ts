// SPDX-License-Identifier: Apache-2.0
/** The grids of benchmarks/webgpu.ts: one for software adapters, one for hardware. */
import type * as shared from '../shared/case.js';

/** A provider of results; `copy kernel` and `WGSL matmul` are the device's own limits. */
export const PROVIDERS = [
  'tfjs-xformers',
  'tfjs',
  'tf.layers',
  'onnxruntime-web',
  'jax-js',
  'copy kernel',
  'WGSL matmul',
] as const;

export type ProviderName = (typeof PROVIDERS)[number];

interface Choice {
  providers: readonly ProviderName[];
}

export type AttentionCase = shared.AttentionCase & Choice;
export type RowCase = shared.RowCase & Choice;
export type Case = AttentionCase | RowCase;

const MODES = ['forward', 'forward + backward'] as const;
const ATTENTION: readonly ProviderName[] = ['tfjs-xformers', 'tfjs', 'onnxruntime-web', 'jax-js'];
const NORM: readonly ProviderName[] = [...ATTENTION, 'tf.layers', 'copy kernel'];

interface AttentionShape {
  op?: 'attention' | 'decoding';
  heads: number;
  kvHeads: number;
  queries: number;
  keys: number;
  dim: number;
  causal: boolean;
  window?: number;
}

/** Only ours stores bfloat16, and only it and jax-js have gradients beside tfjs. */
function chosen(
  all: readonly ProviderName[],
  dtype: shared.DType,
  mode: shared.Mode,
): ProviderName[] {
  return all.filter((name) => {
    if (dtype === 'bfloat16') return name === 'tfjs-xformers' || name === 'copy kernel';
    return mode === 'forward' || name !== 'onnxruntime-web';
  });
}

function attention(
  { op = 'attention', ...shape }: AttentionShape,
  dtype: shared.DType,
  mode: shared.Mode,
): AttentionCase {
  const all = op === 'decoding' ? ([...ATTENTION, 'copy kernel'] as const) : ATTENTION;
  return { op, batch: 1, ...shape, dtype, mode, providers: chosen(all, dtype, mode) };
}

function norm(
  op: RowCase['op'],
  [rows, columns]: readonly [number, number],
  dtype: shared.DType,
  mode: shared.Mode,
): RowCase {
  const all = op === 'layer norm' ? NORM : NORM.filter((name) => name !== 'tf.layers');
  return { op, rows, columns, dtype, mode, providers: chosen(all, dtype, mode) };
}

/** What the marks of a software adapter are about, in float32: a minute. */
export function quickCases(): Case[] {
  const shape = { heads: 4, kvHeads: 4, queries: 512, keys: 512, dim: 64, causal: false };
  return [
    ...MODES.map((mode) => attention(shape, 'float32', mode)),
    ...MODES.map((mode) => norm('layer norm', [2048, 768], 'float32', mode)),
  ];
}
