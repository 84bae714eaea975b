// SPDX-License-Identifier: Apache-2.0
/**
 * A small causal transformer, pre-norm, with QK-norm. Written once; `Kernels` say how its norms and
 * its attention are computed.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D, Variable } from '@tensorflow/tfjs-core';

import type { Kernels } from './kernels.js';

export interface ModelConfig {
  vocabulary: number;
  /** The length of sequences, in tokens. */
  context: number;
  /** Channels of the residual stream; a multiple of heads. */
  width: number;
  heads: number;
  blocks: number;
}

interface Norm {
  gamma: Variable;
  beta: Variable;
}

interface BlockWeights {
  attentionNorm: Norm;
  /** [width, 3 * width]: query, key and value side by side. */
  queryKeyValue: Variable;
  queryGamma: Variable;
  keyGamma: Variable;
  attended: Variable;
  mlpNorm: Norm;
  up: Variable;
  down: Variable;
}

export interface Weights {
  embedding: Variable;
  /** [context, width], fixed. */
  positions: Tensor;
  blocks: BlockWeights[];
  finalNorm: Norm;
  logits: Variable;
}

/** Sines and cosines of the position, in wavelengths from 2π to 10,000 tokens and more. */
function sinusoids(context: number, width: number): Tensor {
  const values = Float32Array.from({ length: context * width }, (_, index) => {
    const [position, channel] = [Math.floor(index / width), index % width];
    const angle = position / 10_000 ** ((channel - (channel % 2)) / width);
    return 0.35 * (channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
  });
  return tf.tensor2d(values, [context, width]);
}

/** New weights; the same seed gives the same ones again. */
export function makeWeights(config: ModelConfig, seed: number): Weights {
  const { vocabulary, context, width, heads, blocks } = config;
  let next = seed * 1000 + 1;
  const variable = (make: () => Tensor) => tf.tidy(() => tf.variable(make()));
  const normal = (rows: number, columns: number, deviation: number) =>
    variable(() => tf.randomNormal([rows, columns], 0, deviation, 'float32', next++));
  const linear = (rows: number, columns: number, gain = 1) =>
    normal(rows, columns, gain / Math.sqrt(rows));
  const ones = (size: number) => variable(() => tf.ones([size]));
  const zeros = (size: number) => variable(() => tf.zeros([size]));
  const norm = (): Norm => ({ gamma: ones(width), beta: zeros(width) });
  // What blocks add to the stream starts small, so that it does not grow with their number.
  const residualGain = 1 / Math.sqrt(2 * blocks);
  const block = (): BlockWeights => ({
    attentionNorm: norm(),
    queryKeyValue: linear(width, 3 * width),
    queryGamma: ones(width / heads),
    keyGamma: ones(width / heads),
    attended: linear(width, width, residualGain),
    mlpNorm: norm(),
    up: linear(width, 4 * width),
    down: linear(4 * width, width, residualGain),
  });
  return {
    embedding: normal(vocabulary, width, 0.5),
    positions: tf.keep(sinusoids(context, width)),
    blocks: Array.from({ length: blocks }, block),
    finalNorm: norm(),
    logits: linear(width, vocabulary, 0.5),
  };
}

/** What is trained, in an order that is always the same. */
export function listWeights(weights: Weights): Variable[] {
  const ofNorm = ({ gamma, beta }: Norm) => [gamma, beta];
  return [
    weights.embedding,
    ...weights.blocks.flatMap((block) => [
      ...ofNorm(block.attentionNorm),
      block.queryKeyValue,
      block.queryGamma,
      block.keyGamma,
      block.attended,
      ...ofNorm(block.mlpNorm),
      block.up,
      block.down,
    ]),
    ...ofNorm(weights.finalNorm),
    weights.logits,
  ];
}

export function disposeWeights(weights: Weights): void {
  tf.dispose([listWeights(weights), weights.positions]);
}

/** Rows [B * M, width] of normed input to rows of what attention adds to the stream. */
function attention(config: ModelConfig, kernels: Kernels, w: BlockWeights, x: Tensor): Tensor {
  const { context, width, heads } = config;
  const [query, key, value] = tf
    .split(tf.matMul(x, w.queryKeyValue), 3, 1)
    .map((part) => tf.reshape(part, [-1, context, heads, width / heads])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const output = kernels.attend(query, key, value, w.queryGamma, w.keyGamma);
  return tf.matMul(tf.reshape(output, [-1, width]), w.attended);
}

/**
 * The logits of the token that follows each token. Call it in a tf.tidy.
 *
 * @param inputs tokens, row after row of `config.context`.
 * @returns [tokens, vocabulary]
 */
export function forward(
  config: ModelConfig,
  kernels: Kernels,
  weights: Weights,
  inputs: Int32Array,
): Tensor2D {
  const { vocabulary, context, width } = config;
  // A product with one-hot rows picks rows as tf.gather does, and has a gradient on every backend.
  const tokens = tf.matMul(tf.oneHot(tf.tensor1d(inputs, 'int32'), vocabulary), weights.embedding);
  const embedded = tf.add(tf.reshape(tokens, [-1, context, width]), weights.positions);
  let stream: Tensor = tf.reshape(embedded, [-1, width]);
  // What the last layer adds to the stream; the next norm adds it, in the same kernel.
  let added: Tensor | null = null;
  const norm = ({ gamma, beta }: Norm): Tensor => {
    if (added === null) return kernels.norm(stream, gamma, beta);
    const { output, residual } = kernels.addNorm(added, stream, gamma, beta);
    stream = residual;
    return output;
  };
  for (const block of weights.blocks) {
    added = attention(config, kernels, block, norm(block.attentionNorm));
    const hidden = tf.relu(tf.matMul(norm(block.mlpNorm), block.up));
    added = tf.matMul(hidden, block.down);
  }
  return tf.matMul(norm(weights.finalNorm), weights.logits);
}
