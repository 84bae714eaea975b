// SPDX-License-Identifier: Apache-2.0
/** The cases of benchmarks/webgpu.ts, and how they are named and counted. */
import * as shared from '../shared/case.js';

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

/** A GPT of tf.layers: the forward pass, or the forward pass and the gradients of all weights. */
export interface ModelCase extends Choice {
  op: 'model';
  layers: number;
  tokens: number;
  width: number;
  heads: number;
  dtype: 'float32';
  mode: shared.Mode;
}

export type OpCase = AttentionCase | RowCase;
export type Case = OpCase | ModelCase;

export const isModel = (c: Case): c is ModelCase => c.op === 'model';

export function shapeOf(c: Case): string {
  if (!isModel(c)) return shared.shapeOf(c);
  const blocks = c.layers === 1 ? '1 block' : `${c.layers} layers`;
  return `${blocks} M${c.tokens} d${c.width} H${c.heads}`;
}

export const maskOf = (c: Case): string => (isModel(c) ? 'causal' : shared.maskOf(c));

/** What `--only` searches. */
export function titleOf(c: Case): string {
  return [c.op, c.mode, shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' ');
}

/** Bytes that a case cannot avoid; 0 where nobody asks. */
export const bytesOf = (c: Case): number => (isModel(c) ? 0 : shared.bytesOf(c));

/**
 * Products of a block: 24 M d^2, and attention's; three times that with gradients.
 * @param all a model's hidden pairs of query and key are counted as well
 */
export function flopOf(c: Case, all = false): number {
  if (!isModel(c)) return shared.flopOf(c);
  const { tokens, width } = c;
  const pairs = all ? tokens ** 2 : (tokens * (tokens + 1)) / 2;
  const attention = 4 * width * pairs;
  const block = 24 * tokens * width ** 2 + attention;
  const passes = { forward: 1, 'forward + backward': 3, backward: 2 };
  return passes[c.mode] * c.layers * block;
}
