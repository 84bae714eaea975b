// SPDX-License-Identifier: Apache-2.0
/**
 * Attention and its gradients as plain loops over the definition.
 *
 *     s = softcap(scale * q k) + bias      p = exp(s - lse)      out = sum_j p_j * keep_j / (1 - p) * v_j
 *
 * With the default arithmetic everything is float64: the reference. With `round` every operation and
 * with `store` every tensor between two operations is rounded: the naive composition in float32 or
 * bfloat16 whose error close.ts compares with. Queries that see
 * no key give 0, logSumExp -Infinity and no gradient; keys that are not visible are never read.
 */
import { dropThreshold, isKept, rowKey } from '../../src/spec/dropout.js';

export type Round = (x: number) => number;
export const exact: Round = (x) => x;

export interface Arithmetic {
  round: Round;
  store: Round;
}
const EXACT: Arithmetic = { round: exact, store: exact };

/** q [B,Mq,H,K], k [B,Mk,G,K], v [B,Mk,G,V], row-major; query head h reads k, v head floor(h/(H/G)). */
export interface AttentionProblem {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly query: ArrayLike<number>;
  readonly key: ArrayLike<number>;
  readonly value: ArrayLike<number>;
  readonly scale: number;
  /** [queries, keys] of the mask object: 1 = visible. */
  readonly allowed: Uint8Array;
  /** Added to the scores; each axis of the shape is 1 or that of [B,H,Mq,Mk]. */
  readonly bias?: { readonly values: ArrayLike<number>; readonly shape: readonly number[] };
  /** The same for a bool tensor: 0 hides the key. */
  readonly visible?: { readonly values: ArrayLike<number>; readonly shape: readonly number[] };
  readonly softcap?: number;
  /** One logit a head. */
  readonly sink?: ArrayLike<number>;
  readonly dropout?: { readonly p: number; readonly seed: number };
}

export interface AttentionResult {
  /** [B,Mq,H,V] */
  output: Float64Array;
  /** [B,H,Mq] */
  logSumExp: Float64Array;
}

export interface AttentionGradients {
  query: Float64Array;
  key: Float64Array;
  value: Float64Array;
  bias?: Float64Array;
  sink?: Float64Array;
}

/** Index into a tensor that is broadcast to [B,H,Mq,Mk]. */
function broadcastIndex(shape: readonly number[], at: readonly number[]): number {
  return shape.reduce((index, n, axis) => index * n + (n === 1 ? 0 : at[axis]!), 0);
}

interface Row {
  /** The visible keys and, for each, its score before bias and its softmax weight. */
  keys: number[];
  capped: number[];
  weights: number[];
  logSumExp: number;
}

function rowOf(
  p: AttentionProblem,
  b: number,
  h: number,
  i: number,
  { round, store }: Arithmetic,
): Row {
  const group = Math.floor(h / (p.heads / p.kvHeads));
  const keys: number[] = [];
  const capped: number[] = [];
  const scores: number[] = [];
  const q = ((b * p.queries + i) * p.heads + h) * p.keyDim;
  for (let j = 0; j < p.keys; j++) {
    if (!p.allowed[i * p.keys + j]) continue;
    const at = [b, h, i, j];
    if (p.visible && !p.visible.values[broadcastIndex(p.visible.shape, at)]) continue;
    const k = ((b * p.keys + j) * p.kvHeads + group) * p.keyDim;
    let dot = 0;
    for (let d = 0; d < p.keyDim; d++) {
      dot = round(dot + round(p.query[q + d]! * p.key[k + d]!));
    }
    let score = store(round(dot * p.scale));
    if (p.softcap) score = round(p.softcap * round(Math.tanh(score / p.softcap)));
    const bias = p.bias ? p.bias.values[broadcastIndex(p.bias.shape, at)]! : 0;
    if (bias === -Infinity) continue;
    keys.push(j);
    capped.push(score);
    scores.push(store(round(score + bias)));
  }
  if (keys.length === 0) return { keys, capped, weights: [], logSumExp: -Infinity };
  const sink = p.sink ? p.sink[h]! : -Infinity;
  const max = scores.reduce((m, s) => Math.max(m, s), sink);
  let sum = round(Math.exp(sink - max));
  const weights = scores.map((s) => {
    const weight = round(Math.exp(s - max));
    sum = round(sum + weight);
    return weight;
  });
  return {
    keys,
    capped,
    weights: weights.map((w) => store(round(w / sum))),
    logSumExp: round(max + round(Math.log(sum))),
  };
}

/** What a weight is multiplied with: 1, or with dropout 0 or 1 / (1 - p). */
function keepFactor(p: AttentionProblem, b: number, h: number, i: number): (j: number) => number {
  if (!p.dropout) return () => 1;
  const key = rowKey(p.dropout.seed, b, h, i);
  const threshold = dropThreshold(p.dropout.p);
  const kept = 1 / (1 - p.dropout.p);
  return (j) => (isKept(key, j, threshold) ? kept : 0);
}

function forEachRow(
  p: AttentionProblem,
  visit: (b: number, h: number, i: number, row: number) => void,
): void {
  for (let b = 0; b < p.batch; b++) {
    for (let h = 0; h < p.heads; h++) {
      for (let i = 0; i < p.queries; i++) visit(b, h, i, (b * p.heads + h) * p.queries + i);
    }
  }
}

export function referenceAttention(
  p: AttentionProblem,
  arithmetic: Arithmetic = EXACT,
): AttentionResult {
  const { round } = arithmetic;
  const output = new Float64Array(p.batch * p.queries * p.heads * p.valueDim);
  const logSumExp = new Float64Array(p.batch * p.heads * p.queries);
  forEachRow(p, (b, h, i, index) => {
    const row = rowOf(p, b, h, i, arithmetic);
    const keep = keepFactor(p, b, h, i);
    const group = Math.floor(h / (p.heads / p.kvHeads));
    const out = ((b * p.queries + i) * p.heads + h) * p.valueDim;
    logSumExp[index] = row.logSumExp;
    row.keys.forEach((j, n) => {
      const weight = round(row.weights[n]! * keep(j));
      const v = ((b * p.keys + j) * p.kvHeads + group) * p.valueDim;
      if (weight === 0) return;
      for (let d = 0; d < p.valueDim; d++) {
        output[out + d] = round(output[out + d]! + round(weight * p.value[v + d]!));
      }
    });
  });
  return { output, logSumExp };
}

/** Gradients of sum(output * doutput) + sum(logSumExp * dlogSumExp). */
export function referenceAttentionGradients(
  p: AttentionProblem,
  doutput: ArrayLike<number>,
  dlogSumExp: ArrayLike<number> | null = null,
  arithmetic: Arithmetic = EXACT,
): AttentionGradients {
  const { round, store } = arithmetic;
  const query = new Float64Array(p.query.length);
  const key = new Float64Array(p.key.length);
  const value = new Float64Array(p.value.length);
  const bias = new Float64Array(p.bias ? p.bias.values.length : 0);
  const sink = new Float64Array(p.sink ? p.sink.length : 0);
  const add = (sums: Float64Array, at: number, x: number): void => {
    sums[at] = round(sums[at]! + round(x));
  };
  forEachRow(p, (b, h, i, index) => {
    const row = rowOf(p, b, h, i, arithmetic);
    if (row.keys.length === 0) return;
    const keep = keepFactor(p, b, h, i);
    const group = Math.floor(h / (p.heads / p.kvHeads));
    const out = ((b * p.queries + i) * p.heads + h) * p.valueDim;
    const q = ((b * p.queries + i) * p.heads + h) * p.keyDim;
    const dlse = dlogSumExp ? dlogSumExp[index]! : 0;
    let delta = 0;
    const dweights = row.keys.map((j, n) => {
      const v = ((b * p.keys + j) * p.kvHeads + group) * p.valueDim;
      const kept = keep(j);
      if (kept === 0) return 0;
      let dot = 0;
      for (let d = 0; d < p.valueDim; d++) {
        dot = round(dot + round(doutput[out + d]! * p.value[v + d]!));
        add(value, v + d, row.weights[n]! * kept * doutput[out + d]!);
      }
      delta = round(delta + round(row.weights[n]! * round(dot * kept)));
      return store(round(dot * kept));
    });
    row.keys.forEach((j, n) => {
      let dscore = store(round(row.weights[n]! * round(dweights[n]! - delta + dlse)));
      if (p.bias) add(bias, broadcastIndex(p.bias.shape, [b, h, i, j]), dscore);
      if (p.softcap) dscore = round(dscore * round(1 - (row.capped[n]! / p.softcap) ** 2));
      const k = ((b * p.keys + j) * p.kvHeads + group) * p.keyDim;
      for (let d = 0; d < p.keyDim; d++) {
        add(query, q + d, dscore * p.scale * p.key[k + d]!);
        add(key, k + d, dscore * p.scale * p.query[q + d]!);
      }
    });
    if (p.sink) add(sink, h, Math.exp(p.sink[h]! - row.logSumExp) * (dlse - delta));
  });
  return { query, key, value, ...(p.bias && { bias }), ...(p.sink && { sink }) };
}
