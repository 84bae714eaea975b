// SPDX-License-Identifier: Apache-2.0
/**
 * What a case has to give, in float64: of attention a sample of rows (all pairs would take minutes),
 * of the norms everything. Gradients of attention are those of one key/value head; its dK and dV need
 * every query's softmax, which is why only some keys are sampled.
 */
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import { referenceNorm, referenceNormGradients } from '../../test/support/reference_norm.js';
import { isAttention, visibleKeys } from './case.js';
import type { AttentionCase, Case, RowCase } from './case.js';
import type { Arrays } from './inputs.js';

/** Consecutive elements of an output, from `start` on. */
export interface Sample {
  start: number;
  values: ArrayLike<number>;
}

export type Expected = Record<string, Sample[]>;

const ROW_SAMPLES = 16;
const KEY_SAMPLES = 16;
const EPSILON = 1e-5;

/** Evenly spread, the first and the last among them. */
function spread(length: number, count: number): number[] {
  const indices = Array.from({ length: count }, (_, n) =>
    Math.floor((n * (length - 1)) / Math.max(1, count - 1)),
  );
  return [...new Set(indices)];
}

/** One query head of batch item 0, with the strides of [B, M, H, D]. */
class Head {
  private readonly scale: number;
  readonly scores: Float64Array;

  constructor(
    private readonly c: AttentionCase,
    private readonly x: Arrays,
    private readonly head: number,
  ) {
    this.scale = 1 / Math.sqrt(c.dim);
    this.scores = new Float64Array(c.keys);
  }

  queryStart(i: number): number {
    return (i * this.c.heads + this.head) * this.c.dim;
  }

  keyStart(j: number): number {
    const kvHead = Math.floor(this.head / (this.c.heads / this.c.kvHeads));
    return (j * this.c.kvHeads + kvHead) * this.c.dim;
  }

  /** The queries whose upstream gradient is more than zeros: all of them, or a few (inputs.ts). */
  gradientRows(): number[] {
    const doutput = this.x['doutput']!;
    return Array.from({ length: this.c.queries }, (_, i) => i).filter((i) => {
      const start = this.queryStart(i);
      return doutput.subarray(start, start + this.c.dim).some((value) => value !== 0);
    });
  }

  private dot(a: Float32Array, aStart: number, b: Float32Array, bStart: number): number {
    let sum = 0;
    for (let d = 0; d < this.c.dim; d++) sum += a[aStart + d]! * b[bStart + d]!;
    return sum;
  }

  /** Row i of the probabilities, into `scores`. */
  softmaxRow(i: number): void {
    const { query, key } = this.x;
    const [begin, end] = visibleKeys(this.c, i);
    let max = -Infinity;
    for (let j = begin; j < end; j++) {
      const score = this.scale * this.dot(query!, this.queryStart(i), key!, this.keyStart(j));
      this.scores[j] = score;
      if (score > max) max = score;
    }
    let total = 0;
    for (let j = begin; j < end; j++) total += this.scores[j] = Math.exp(this.scores[j]! - max);
    for (let j = begin; j < end; j++) this.scores[j]! /= total;
  }

  /** Row i of the output, from the probabilities. */
  output(i: number): Float64Array {
    const sum = new Float64Array(this.c.dim);
    const [begin, end] = visibleKeys(this.c, i);
    for (let j = begin; j < end; j++) {
      this.addScaled(sum, this.scores[j]!, this.x['value']!, this.keyStart(j));
    }
    return sum;
  }

  /** dP of row i at key j. */
  dprobability(i: number, j: number): number {
    return this.dot(this.x['doutput']!, this.queryStart(i), this.x['value']!, this.keyStart(j));
  }

  addScaled(sum: Float64Array, factor: number, x: Float32Array, start: number): void {
    for (let d = 0; d < this.c.dim; d++) sum[d]! += factor * x[start + d]!;
  }

  /** dO of row i times its output: what dS = P (dP - delta) subtracts. */
  delta(i: number): number {
    const output = this.output(i);
    const start = this.queryStart(i);
    return output.reduce((sum, o, d) => sum + o * this.x['doutput']![start + d]!, 0);
  }

  dquery(i: number, delta: number): Float64Array {
    const sum = new Float64Array(this.c.dim);
    const [begin, end] = visibleKeys(this.c, i);
    for (let j = begin; j < end; j++) {
      const dscore = this.scale * this.scores[j]! * (this.dprobability(i, j) - delta);
      this.addScaled(sum, dscore, this.x['key']!, this.keyStart(j));
    }
    return sum;
  }

  /** Adds row i's share to the gradients of key and value j. */
  addKeyGradients(i: number, j: number, delta: number, dkey: Float64Array, dvalue: Float64Array) {
    const [begin, end] = visibleKeys(this.c, i);
    if (j < begin || j >= end) return;
    const probability = this.scores[j]!;
    const dscore = this.scale * probability * (this.dprobability(i, j) - delta);
    this.addScaled(dkey, dscore, this.x['query']!, this.queryStart(i));
    this.addScaled(dvalue, probability, this.x['doutput']!, this.queryStart(i));
  }
}

function attentionForward(c: AttentionCase, x: Arrays): Expected {
  const output: Sample[] = [];
  for (const headIndex of new Set([0, c.heads - 1])) {
    const head = new Head(c, x, headIndex);
    for (const i of spread(c.queries, ROW_SAMPLES)) {
      head.softmaxRow(i);
      output.push({ start: head.queryStart(i), values: head.output(i) });
    }
  }
  return { output };
}

function attentionGradients(c: AttentionCase, x: Arrays): Expected {
  const group = c.heads / c.kvHeads;
  // The gradients of a key are sums over all query heads of its group.
  const heads = Array.from({ length: group }, (_, n) => new Head(c, x, c.heads - group + n));
  const keys = spread(c.keys, KEY_SAMPLES).map((j) => ({
    j,
    dkey: new Float64Array(c.dim),
    dvalue: new Float64Array(c.dim),
  }));
  const dquery: Sample[] = [];
  for (const head of heads) {
    const rows = head.gradientRows();
    const sampled = new Set(spread(rows.length, ROW_SAMPLES).map((n) => rows[n]!));
    for (const i of rows) {
      head.softmaxRow(i);
      const delta = head.delta(i);
      for (const { j, dkey, dvalue } of keys) head.addKeyGradients(i, j, delta, dkey, dvalue);
      if (sampled.has(i)) dquery.push({ start: head.queryStart(i), values: head.dquery(i, delta) });
    }
  }
  const start = (j: number) => heads[0]!.keyStart(j);
  return {
    dquery,
    dkey: keys.map(({ j, dkey }) => ({ start: start(j), values: dkey })),
    dvalue: keys.map(({ j, dvalue }) => ({ start: start(j), values: dvalue })),
  };
}

function norm(c: RowCase, { x, residual, gamma, beta, dy }: Arrays): Expected {
  const rms = c.op === 'rms norm';
  const weights = { gamma: gamma!, ...(!rms && { beta: beta! }), ...(residual && { residual }) };
  const problem = { rows: c.rows, channels: c.columns, x: x!, ...weights, rms, epsilon: EPSILON };
  const whole = (values: ArrayLike<number>) => [{ start: 0, values }];
  if (!dy) return { output: whole(referenceNorm(problem).output) };
  const gradients = referenceNormGradients(problem, dy);
  return {
    dx: whole(gradients.x),
    dgamma: whole(gradients.gamma),
    ...(!rms && { dbeta: whole(gradients.beta) }),
  };
}

function matmul({ rows, columns }: RowCase, { a, b }: Arrays): Expected {
  const output = spread(rows, ROW_SAMPLES).map((i) => {
    const values = new Float64Array(columns);
    for (let k = 0; k < columns; k++) {
      const factor = a![i * columns + k]!;
      for (let j = 0; j < columns; j++) values[j]! += factor * b![k * columns + j]!;
    }
    return { start: i * columns, values };
  });
  return { output };
}

export function expectedOf(c: Case, x: Arrays): Expected {
  if (isAttention(c)) {
    return c.mode === 'forward' ? attentionForward(c, x) : attentionGradients(c, x);
  }
  switch (c.op) {
    case 'matmul':
      return matmul(c, x);
    case 'bf16 pack':
      return { output: [{ start: 0, values: roundToBFloat16Values(x['x']!) }] };
    default:
      return norm(c, x);
  }
}
