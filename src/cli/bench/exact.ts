// SPDX-License-Identifier: Apache-2.0
/** The ops in float64, from their definitions, for some rows of their outputs. */
import type { Accuracy, ExactRows } from './op.js';

type Values = Float32Array | Float64Array;

/** The first, the middle and the last of `count`. */
function someOf(count: number): number[] {
  return [...new Set([0, count >> 1, count - 1])];
}

function normRow(x: Values, rms: boolean, epsilon: number): Float64Array {
  const values = Float64Array.from(x);
  const mean = rms ? 0 : values.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return values.map((value) => (value - mean) / Math.sqrt(variance + epsilon));
}

export interface NormFacts {
  x: Values;
  gamma: Values;
  /** None: an RMS norm. */
  beta: Values | null;
  epsilon: number;
}

/** A row of a norm over the last axis, of `gamma.length` values. */
function normedRow({ x, gamma, beta, epsilon }: NormFacts, row: number): Float64Array {
  const channels = gamma.length;
  const part = x.subarray(row * channels, (row + 1) * channels);
  return normRow(part, beta === null, epsilon).map((n, c) => n * gamma[c]! + (beta?.[c] ?? 0));
}

export function exactNorm(facts: NormFacts): ExactRows {
  const channels = facts.gamma.length;
  const rows = someOf(facts.x.length / channels);
  return {
    starts: rows.map((row) => row * channels),
    rows: rows.map((row) => normedRow(facts, row)),
  };
}

/** All rows. */
export function normedValues(facts: NormFacts): Float64Array {
  const channels = facts.gamma.length;
  const output = new Float64Array(facts.x.length);
  for (let row = 0; row * channels < output.length; row++) {
    output.set(normedRow(facts, row), row * channels);
  }
  return output;
}

export interface AttentionFacts {
  q: Values;
  k: Values;
  v: Values;
  /** All three are [1, tokens, heads, headDim]. */
  tokens: number;
  heads: number;
  headDim: number;
  causal: boolean;
}

/** softmax(q kᵀ / sqrt(K)) v for one query of one head. */
function attend(facts: AttentionFacts, row: number, head: number): Float64Array {
  const { q, k, v, tokens, heads, headDim, causal } = facts;
  const at = (token: number) => (token * heads + head) * headDim;
  const scores = Float64Array.from({ length: causal ? row + 1 : tokens }, (_, j) => {
    let dot = 0;
    for (let d = 0; d < headDim; d++) dot += q[at(row) + d]! * k[at(j) + d]!;
    return dot / Math.sqrt(headDim);
  });
  const highest = scores.reduce((a, b) => Math.max(a, b));
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Float64Array.from({ length: headDim }, (_, d) =>
    weights.reduce((sum, weight, j) => sum + (weight / total) * v[at(j) + d]!, 0),
  );
}

/** Three queries of each head. */
export function exactAttention(facts: AttentionFacts): ExactRows {
  const { tokens, heads, headDim } = facts;
  const places = someOf(tokens).flatMap((row) =>
    Array.from({ length: heads }, (_, head) => [row, head] as const),
  );
  return {
    starts: places.map(([row, head]) => (row * heads + head) * headDim),
    rows: places.map(([row, head]) => attend(facts, row, head)),
  };
}

/** Error of an output on the rows that are known; NaN if anything in them is. */
export function accuracyOf(output: ArrayLike<number>, { starts, rows }: ExactRows): Accuracy {
  let [squares, count, worst] = [0, 0, 0];
  for (const [index, row] of rows.entries()) {
    for (const [i, value] of row.entries()) {
      const error = Math.abs(output[starts[index]! + i]! - value);
      squares += error * error;
      count++;
      worst = Math.max(worst, error);
    }
  }
  return { rmsError: Math.sqrt(squares / count), maxError: worst };
}
