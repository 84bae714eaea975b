// SPDX-License-Identifier: Apache-2.0
/**
 * What attention accepts, in shapes and numbers; ops/attention_call.ts checks with this and brings
 * operands and bias to rank 4. attention_layout.ts says which axis is which.
 *
 *     output    = softmax(s + bias, over the visible keys and the sink) value
 *     s         = softcap * tanh(scale * query keyᵀ / softcap), or scale * query keyᵀ without softcap
 *     logSumExp = log(sum over the visible keys of exp(s + bias), plus exp(sink))
 *
 * A query without visible key has output 0, logSumExp -Infinity and zero gradients.
 */
import type { AttentionLayout } from './attention_layout.js';
import { describe, rangeError, typeError } from './errors.js';

/** Sizes of one call. Query head h reads key and value head floor(h / (heads / kvHeads)). */
export interface AttentionDims {
  batch: number;
  queries: number;
  keys: number;
  heads: number;
  kvHeads: number;
  keyDim: number;
  valueDim: number;
}

const LAYOUTS = '[B, M, K], [B, M, H, K] or [B, M, G, H/G, K]';

/** Throws unless the three dtypes are the same float dtype. */
export function checkAttentionDTypes(op: string, query: string, key: string, value: string): void {
  const dtypes = [query, key, value];
  const isFloat = (dtype: string) => dtype === 'float32' || dtype === 'bfloat16';
  const came = `${op}: query is ${query}, key is ${key}, value is ${value}; `;
  const norms = "norm with outputDtype: 'bfloat16', or use layers.qkNormAttention.";
  if (!dtypes.every(isFloat)) {
    throw new TypeError(
      `${came}all three must be float32 or all three bfloat16. ` +
        `Cast with tf.cast(x, 'float32') or toBFloat16(), ${norms}`,
    );
  }
  if (query !== key || query !== value) {
    throw new TypeError(
      `${came}all three must have one dtype. Cast the float32 ones with toBFloat16(), ${norms}`,
    );
  }
}

type Reject = (
  argument: string,
  expected: string,
  got: readonly number[],
  mend: string,
) => RangeError;

function rejection(op: string): Reject {
  return (argument, expected, got, mend) =>
    rangeError({ op, argument, expected, got: `shape ${describe(got)}`, mend });
}

/** Sizes of a call of layout BHMK from the three shapes, of rank 4. Throws where they do not fit. */
export function headMajorDims(
  op: string,
  query: readonly number[],
  key: readonly number[],
  value: readonly number[],
): AttentionDims {
  const reject = rejection(op);
  const shapes = { query, key, value };
  for (const [name, shape] of Object.entries(shapes)) {
    if (shape.length === 4) continue;
    const mend = "The layout 'BHMK' is [B, H, M, K]; leave options.layout out for the others.";
    throw reject(name, 'of rank 4', shape, mend);
  }
  const swap = ([batch, heads, rows, depth]: readonly number[]) => [batch!, rows!, heads!, depth!];
  return attentionDims(op, swap(query), swap(key), swap(value), 'BHMK');
}

/**
 * Sizes of a call from the three shapes, of rank 3, 4 or 5. Throws where they do not fit.
 * `layout` is how the user gave them, for the words of an error.
 */
export function attentionDims(
  op: string,
  query: readonly number[],
  key: readonly number[],
  value: readonly number[],
  layout: AttentionLayout = 'BMHK',
): AttentionDims {
  const isSwapped = layout === 'BHMK';
  const [rowAxis, headAxis] = isSwapped ? [2, 1] : [1, 2];
  const asGiven = (shape: readonly number[]) =>
    isSwapped ? [shape[0]!, shape[2]!, shape[1]!, shape[3]!] : shape;
  const reject: Reject = (argument, expected, got, mend) =>
    rejection(op)(argument, expected, asGiven(got), mend);
  const rank = query.length;
  if (rank < 3 || rank > 5) {
    throw reject('query', 'of rank 3, 4 or 5', query, `The layouts are ${LAYOUTS}.`);
  }
  for (const [name, shape] of [
    ['key', key],
    ['value', value],
  ] as const) {
    const mend = 'Query, key and value share rank and batch size.';
    if (shape.length !== rank) throw reject(name, `of rank ${rank}, like query`, shape, mend);
    if (shape[0] !== query[0]) {
      throw reject(name, `of batch size ${query[0]}, like query`, shape, mend);
    }
  }
  if (value[1] !== key[1]) {
    const expected = `of ${key[1]} rows (axis ${rowAxis}), like key`;
    throw reject('value', expected, value, 'Each key has one value.');
  }
  const keyDim = query[rank - 1]!;
  if (key[rank - 1] !== keyDim) {
    const expected = `of head dim ${keyDim} (last axis), like query`;
    throw reject('key', expected, key, 'Only the head dim of value may differ.');
  }
  const heads = query.slice(2, -1).reduce((product, n) => product * n, 1);
  const kvHeads = keyHeads(reject, query, key, value, headAxis);
  for (const [name, shape] of Object.entries({ query, key, value })) {
    if (shape.slice(2).includes(0)) {
      throw reject(name, 'at least 1 in its heads and head dim', shape, 'Leave the call out.');
    }
  }
  return {
    batch: query[0]!,
    queries: query[1]!,
    keys: key[1]!,
    heads,
    kvHeads,
    keyDim,
    valueDim: value[rank - 1]!,
  };
}

/** Number of key/value heads, G: those of rank 4, or the product of the two axes of rank 5. */
function keyHeads(
  reject: Reject,
  query: readonly number[],
  key: readonly number[],
  value: readonly number[],
  headAxis: number,
): number {
  const headsOf = (shape: readonly number[]) => shape.slice(2, -1);
  const kv = headsOf(key);
  if (describe(headsOf(value)) !== describe(kv)) {
    const expected = `of heads ${describe(kv)}, like key`;
    throw reject('value', expected, value, 'Key and value have the same heads.');
  }
  const wanted = headsOf(query);
  if (query.length === 4 && wanted[0]! % Math.max(kv[0]!, 1) !== 0) {
    const expected = `of a number of heads (axis ${headAxis}) that divides query's ${wanted[0]}`;
    throw reject('key', expected, key, 'Each key/value head serves a whole number of query heads.');
  }
  if (query.length === 5 && (kv[0] !== wanted[0] || (kv[1] !== wanted[1] && kv[1] !== 1))) {
    const expected = `of heads [${wanted[0]}, ${wanted[1]}] or [${wanted[0]}, 1] (axes 2 and 3)`;
    throw reject('key', expected, key, 'Axis 2 counts groups, axis 3 the heads in one.');
  }
  return kv.reduce((product, n) => product * n, 1);
}

/** Shape of `bias` in the layout of kernels: rank 4, each axis 1 or that of [B, H, Mq, Mk]. */
export function biasShape(
  op: string,
  bias: readonly number[],
  dims: AttentionDims,
  query: readonly number[],
): number[] {
  const full = [dims.batch, dims.heads, dims.queries, dims.keys];
  const shape = biasAxes(bias, query);
  if (shape === null || shape.some((n, axis) => n !== 1 && n !== full[axis])) {
    throw rangeError({
      op,
      argument: 'attnBias',
      expected: `broadcastable to [B, H, Mq, Mk] = ${describe(full)}`,
      got: `shape ${describe(bias)}`,
      mend: 'Each axis is 1 or that size; missing axes in front count as 1.',
    });
  }
  return shape;
}

function biasAxes(bias: readonly number[], query: readonly number[]): number[] | null {
  if (query.length === 3 && bias.length === 3) return [bias[0]!, 1, bias[1]!, bias[2]!];
  if (query.length === 5 && bias.length === 5) {
    const [batch, groups, perGroup, queries, keys] = bias as [
      number,
      number,
      number,
      number,
      number,
    ];
    const isShared = groups === 1 && perGroup === 1;
    if (!isShared && (groups !== query[2] || perGroup !== query[3])) return null;
    return [batch, groups * perGroup, queries, keys];
  }
  return bias.length > 4 ? null : [...new Array<number>(4 - bias.length).fill(1), ...bias];
}

/** Throws unless `value` is a number that `test` accepts. */
export function checkNumber(
  op: string,
  argument: string,
  value: unknown,
  test: (value: number) => boolean,
  expected: string,
  mend: string,
): void {
  if (typeof value !== 'number') {
    throw typeError({ op, argument, expected, got: describe(value), mend });
  }
  if (!test(value)) throw rangeError({ op, argument, expected, got: describe(value), mend });
}

/** The numbers among the options, with their defaults. */
export interface AttentionNumbers {
  scale: number;
  p: number;
  seed: number;
  softcap: number;
}

/** Checks the numbers among the options and fills in the defaults. A missing seed is drawn. */
export function attentionNumbers(
  op: string,
  options: { [name in keyof AttentionNumbers]?: number | undefined },
  keyDim: number,
): AttentionNumbers {
  const { scale = 1 / Math.sqrt(keyDim), p = 0, seed, softcap } = options;
  const scaleMend = 'Leave it out to get 1 / sqrt(K).';
  checkNumber(op, 'options.scale', scale, isFiniteFloat, 'a finite float32 number', scaleMend);
  // Kept weights are multiplied by 1 / (1 - p), in float32.
  const isProbability = (x: number) => x >= 0 && Math.fround(x) < 1;
  const pMend = 'Pass 0 when not training.';
  checkNumber(op, 'options.p', p, isProbability, 'at least 0 and below 1 in float32', pMend);
  if (softcap !== undefined) {
    const isCap = (x: number) => isFiniteFloat(x) && Math.fround(x) > 0;
    const capMend = 'Leave it out for no cap.';
    checkNumber(op, 'options.softcap', softcap, isCap, 'finite and above 0 in float32', capMend);
  }
  if (seed !== undefined) {
    const isSeed = (x: number) => Number.isInteger(x) && x >= -(2 ** 31) && x < 2 ** 32;
    const seedMend = 'Leave it out to have one drawn.';
    checkNumber(op, 'options.seed', seed, isSeed, 'a whole number of 32 bits', seedMend);
  }
  return { scale, p, seed: (seed ?? drawSeed(p)) >>> 0, softcap: softcap ?? 0 };
}

/** Kernels compute in float32, where 1e39 is infinite. */
function isFiniteFloat(x: number): boolean {
  return Number.isFinite(Math.fround(x));
}

function drawSeed(p: number): number {
  return p > 0 ? Math.floor(Math.random() * 2 ** 32) : 0;
}
