// SPDX-License-Identifier: Apache-2.0
/**
 * What each castStrategy of layers.qkNormAttention costs in accuracy: the error of the bfloat16
 * queries against float64, at head dims 64 and 128. Prints a Markdown table.
 *
 *     node --import tsx benchmarks/qk_norm_precision.ts
 */
import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import { roundToBFloat16Values } from '../src/bf16/rounding.js';
import { layers } from '../src/index.js';
import type { CastStrategy } from '../src/layers/index.js';
import { drawTensor } from '../test/support/draw.js';
import { normDefinition } from '../test/support/reference_qk_norm.js';

interface Errors {
  rms: number;
  max: number;
}

const NORMS = ['layer', 'rms'] as const;
const STRATEGIES: readonly CastStrategy[] = ['output', 'weights'];
const TOKENS = 512;
const HEADS = 8;

/** Error of the normed queries with weights gamma = 1 + 0.2 n, beta = 0.2 n, n and queries normal. */
async function measure(
  norm: (typeof NORMS)[number],
  castStrategy: CastStrategy,
  headDim: number,
): Promise<Errors> {
  const shape: [number, number, number, number] = [1, TOKENS, HEADS, headDim];
  const x = drawTensor(1, shape);
  const gamma = drawTensor(2, [headDim], 'float32', 0.2, 1);
  const beta = drawTensor(3, [headDim], 'float32', 0.2, 0);
  const weights = norm === 'layer' ? [gamma, beta] : [gamma];
  const exact = normDefinition({ norm }, x, shape, weights);
  const layer = layers.qkNormAttention({ norm, castStrategy });
  layer.build([shape, shape, shape]);
  const normed = tf.tidy(() => {
    layer.setWeights([...weights, ...weights].map((values) => tf.tensor(values)));
    return layer.normQuery(tf.tensor(x, shape));
  });
  const got = await (normed.data() as Promise<Float32Array>);
  normed.dispose();
  const errors = got.map((value, i) => Math.abs(value - exact[i]!));
  const squares = errors.reduce((sum, error) => sum + error * error, 0);
  return { rms: Math.sqrt(squares / errors.length), max: errors.reduce((a, b) => Math.max(a, b)) };
}

/** Where a weight of 1 is after 1,000 steps of +0.001, stored as `round` stores it. */
function trained(round: (value: number) => number): number {
  let weight = 1;
  for (let step = 0; step < 1000; step++) weight = round(weight + 1e-3);
  return weight;
}

await tf.setBackend('cpu');
console.log('| norm | head dim | castStrategy | rms error | max error | rms error / output |');
console.log('|---|---|---|---|---|---|');
for (const norm of NORMS) {
  for (const headDim of [64, 128]) {
    const output = await measure(norm, 'output', headDim);
    for (const strategy of STRATEGIES) {
      const { rms, max } = await measure(norm, strategy, headDim);
      const cells = [rms.toExponential(2), max.toExponential(2), (rms / output.rms).toFixed(2)];
      console.log(`| ${norm} | ${headDim} | '${strategy}' | ${cells.join(' | ')} |`);
    }
  }
}
const asBFloat16 = (value: number) => roundToBFloat16Values(Float32Array.of(value))[0]!;
console.log(
  '\nA weight of 1 after 1,000 steps of +0.001: ' +
    `${trained(Math.fround).toFixed(3)} in float32, ${trained(asBFloat16).toFixed(3)} in bfloat16.`,
);
