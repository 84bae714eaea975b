// SPDX-License-Identifier: Apache-2.0
/** How far the compared ops are from their formulas in float64, in a few rows of their outputs. */
import type { Tensor } from '@tensorflow/tfjs-core';

import { accuracyOf, exactAttention, exactNorm } from '../../src/cli/bench/exact.js';

const EPSILON = 1e-5;

async function read(tensors: Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
}

/** The greatest error of causal attention, over three queries of each head. */
export async function attentionError(output: Tensor, inputs: Tensor[]): Promise<number> {
  const [, tokens, heads, headDim] = output.shape as [number, number, number, number];
  const [got, q, k, v] = await read([output, ...inputs]);
  const facts = { q: q!, k: k!, v: v!, tokens, heads, headDim, causal: true };
  return accuracyOf(got!, exactAttention(facts)).maxError;
}

/** The greatest error of a layer norm [rows, C], over three rows. */
export async function normError(output: Tensor, inputs: Tensor[]): Promise<number> {
  const [got, x, gamma, beta] = await read([output, ...inputs]);
  const facts = { x: x!, gamma: gamma!, beta: beta!, epsilon: EPSILON };
  return accuracyOf(got!, exactNorm(facts)).maxError;
}
