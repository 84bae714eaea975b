// SPDX-License-Identifier: Apache-2.0
/** The formulas of the compared ops in float64, row by row, for a few rows of their outputs. */
import type { Tensor } from '@tensorflow/tfjs-core';

const EPSILON = 1e-5;

/** The first, the middle and the last of `count`. */
function someOf(count: number): number[] {
  return [...new Set([0, count >> 1, count - 1])];
}

function greatestDifference(values: ArrayLike<number>, start: number, exact: number[]): number {
  return Math.max(...exact.map((value, i) => Math.abs(values[start + i]! - value)));
}

/** Causal attention [1, M, H, K] of one query: softmax(q kᵀ / sqrt(K)) v. */
function attend(values: Float32Array[], row: number, head: number, heads: number, dim: number) {
  const [q, k, v] = values as [Float32Array, Float32Array, Float32Array];
  const at = (token: number) => (token * heads + head) * dim;
  const scores = Array.from({ length: row + 1 }, (_, j) => {
    let dot = 0;
    for (let d = 0; d < dim; d++) dot += q[at(row) + d]! * k[at(j) + d]!;
    return dot / Math.sqrt(dim);
  });
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: dim }, (_, d) =>
    weights.reduce((sum, weight, j) => sum + (weight / total) * v[at(j) + d]!, 0),
  );
}

async function read(tensors: Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
}

/** The greatest error of causal attention, over three queries of each head. */
export async function attentionError(output: Tensor, inputs: Tensor[]): Promise<number> {
  const [, tokens, heads, dim] = output.shape as [number, number, number, number];
  const [got, ...values] = await read([output, ...inputs]);
  let worst = 0;
  for (const row of someOf(tokens)) {
    for (let head = 0; head < heads; head++) {
      const exact = attend(values, row, head, heads, dim);
      const start = (row * heads + head) * dim;
      worst = Math.max(worst, greatestDifference(got!, start, exact));
    }
  }
  return worst;
}

/** The greatest error of a layer norm [rows, C], over three rows. */
export async function normError(output: Tensor, inputs: Tensor[]): Promise<number> {
  const [rows, channels] = output.shape as [number, number];
  const [got, x, gamma, beta] = await read([output, ...inputs]);
  let worst = 0;
  for (const row of someOf(rows)) {
    const values = [...x!.subarray(row * channels, (row + 1) * channels)];
    const mean = values.reduce((sum, value) => sum + value, 0) / channels;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
    const scale = 1 / Math.sqrt(variance + EPSILON);
    const exact = values.map((value, c) => (value - mean) * scale * gamma![c]! + beta![c]!);
    worst = Math.max(worst, greatestDifference(got!, row * channels, exact));
  }
  return worst;
}
