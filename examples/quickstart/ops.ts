// SPDX-License-Identifier: Apache-2.0
/** Single ops with this package's kernels and with plain tfjs ops: time, memory, and the error against float64. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

import { attnBias, fusedLayerNorm, memoryEfficientAttention } from '../../src/index.js';
import { quantile } from './compare.js';
import { attentionError, normError } from './exact.js';
import { peakBytes } from '../../src/cli/bench/memory.js';
import { PORTABLE, hasNative, ourKernels, withoutNative } from './native.js';
import type { OpSizes } from './options.js';
import { causalMask, layerNorm, plainAttention } from './plain.js';

type Compute = (...inputs: Tensor[]) => Tensor;

/** One op as one kind of kernels computes it. */
interface Candidate {
  kernels: string;
  compute: Compute;
  within: <T>(run: () => T) => T;
}

interface OpCase {
  title: string;
  inputs: Tensor[];
  candidates: Candidate[];
  /** The greatest error of some values of the output. */
  errorOf: (output: Tensor, inputs: Tensor[]) => Promise<number>;
}

export interface OpResult {
  title: string;
  kernels: string;
  /** Milliseconds: medians. */
  forward: number;
  both: number;
  peakBytes: number;
  error: number;
}

const asIs = <T>(run: () => T): T => run();

/** This package's kernels, the portable ones beside native ones, and plain tfjs ops. */
function candidatesOf(ours: Compute, plain: Compute): Candidate[] {
  return [
    { kernels: ourKernels(), compute: ours, within: asIs },
    ...(hasNative() ? [{ kernels: PORTABLE, compute: ours, within: withoutNative }] : []),
    { kernels: 'plain tfjs', compute: plain, within: asIs },
  ];
}

function attentionCase({ tokens, heads, headDim }: OpSizes): OpCase {
  const shape: [number, number, number, number] = [1, tokens, heads, headDim];
  const causal = new attnBias.LowerTriangularMask();
  const mask = causalMask(tokens);
  return {
    title: 'causal attention',
    inputs: [1, 2, 3].map((seed) => tf.randomNormal(shape, 0, 1, 'float32', seed)),
    candidates: candidatesOf(
      (q, k, v) => memoryEfficientAttention(q!, k!, v!, causal) as Tensor,
      (q, k, v) => plainAttention(q!, k!, v!, mask),
    ),
    errorOf: attentionError,
  };
}

function normCase({ rows, channels }: OpSizes): OpCase {
  const weights = [2, 3].map((seed) => tf.randomNormal([channels], 0, 1, 'float32', seed));
  return {
    title: 'layer norm',
    inputs: [tf.randomNormal([rows, channels], 0, 1, 'float32', 1), ...weights],
    candidates: candidatesOf(
      (x, gamma, beta) => fusedLayerNorm(x!, gamma, beta),
      (x, gamma, beta) => layerNorm(x!, gamma!, beta!),
    ),
    errorOf: normError,
  };
}

/** Waits until a tensor is computed, without reading more than a value of it. */
async function finish(tensor: Tensor): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await one.data();
  one.dispose();
}

/** Forward, or forward and backward: all inputs' gradients of the output's sum. */
async function call({ compute, within }: Candidate, inputs: Tensor[], both: boolean) {
  const outputs = within(() =>
    tf.tidy(() => {
      if (!both) return [compute(...inputs)];
      const ones = tf.ones(inputs[0]!.shape);
      return tf.valueAndGrads((...x: Tensor[]) => compute(...x))(inputs, ones).grads;
    }),
  );
  await finish(outputs.at(-1)!);
  tf.dispose(outputs);
}

/** All candidates take turns, so that whatever else the machine does slows all; the first turn is not counted. */
async function timeOf(candidates: Candidate[], inputs: Tensor[], both: boolean, rounds: number) {
  const times = candidates.map((): number[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, candidate] of candidates.entries()) {
      const start = performance.now();
      await call(candidate, inputs, both);
      if (round > 0) times[index]!.push(performance.now() - start);
    }
  }
  return times.map((each) => quantile(each, 0.5));
}

async function measure({ title, inputs, candidates, errorOf }: OpCase, rounds: number) {
  const forward = await timeOf(candidates, inputs, false, rounds);
  const both = await timeOf(candidates, inputs, true, rounds);
  const results: OpResult[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const { kernels, compute, within } = candidate;
    const output = within(() => tf.tidy(() => compute(...inputs)));
    results.push({
      title,
      kernels,
      forward: forward[index]!,
      both: both[index]!,
      peakBytes: await peakBytes(() => call(candidate, inputs, true)),
      error: await errorOf(output, inputs),
    });
    output.dispose();
  }
  return results;
}

/** A line for each op and each kind of kernels. */
export async function compareOps(sizes: OpSizes): Promise<OpResult[]> {
  const results: OpResult[] = [];
  for (const make of [attentionCase, normCase]) {
    // Nothing else is held while one case is measured.
    const scope = tf.engine();
    scope.startScope();
    results.push(...(await measure(make(sizes), sizes.rounds)));
    scope.endScope();
  }
  return results;
}
