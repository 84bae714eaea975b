// SPDX-License-Identifier: Apache-2.0
/**
 * A small causal transformer, pre-norm, with QK-norm. Written once; `Kernels` say how its norms and
 * its attention are computed. benchmarks/webgpu times its blocks.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D, Variable } from '@tensorflow/tfjs-core';

import type { Kernels } from './kernels.js';

/** What a block has to know. */
export interface BlockConfig {
  /** The length of sequences, in tokens. */
  context: number;
  /** Channels of the residual stream; a multiple of heads. */
  width: number;
  heads: number;
  blocks: number;
}

export interface ModelConfig extends BlockConfig {
  vocabulary: number;
}

interface Norm {
  gamma: Variable;
  beta: Variable;
}

export interface BlockWeights {
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

/** A matrix of normally distributed values. */
export type Draw = (rows: number, columns: number, deviation: number) => Variable;

/** The same seed gives the same matrices again, in the order in which they are drawn. */
export function drawFrom(seed: number): Draw {
  let next = seed * 1000 + 1;
  return (rows, columns, deviation) =>
    tf.tidy(() =>
      tf.variable(tf.randomNormal([rows, columns], 0, deviation, 'float32', next++) as Tensor),
    );
}

const ones = (size: number) => tf.tidy(() => tf.variable(tf.ones([size]) as Tensor));
const zeros = (size: number) => tf.tidy(() => tf.variable(tf.zeros([size]) as Tensor));
const makeNorm = (width: number): Norm => ({ gamma: ones(width), beta: zeros(width) });

export function makeBlocks({ width, heads, blocks }: BlockConfig, draw: Draw): BlockWeights[] {
  const linear = (rows: number, columns: number, gain = 1) =>
    draw(rows, columns, gain / Math.sqrt(rows));
  // What blocks add to the stream starts small, so that it does not grow with their number.
  const residualGain = 1 / Math.sqrt(2 * blocks);
  return Array.from({ length: blocks }, () => ({
    attentionNorm: makeNorm(width),
    queryKeyValue: linear(width, 3 * width),
    queryGamma: ones(width / heads),
    keyGamma: ones(width / heads),
    attended: linear(width, width, residualGain),
    mlpNorm: makeNorm(width),
    up: linear(width, 4 * width),
    down: linear(4 * width, width, residualGain),
  }));
}

/** New weights; the same seed gives the same ones again. */
export function makeWeights(config: ModelConfig, seed: number): Weights {
  const { vocabulary, context, width } = config;
  const draw = drawFrom(seed);
  return {
    embedding: draw(vocabulary, width, 0.5),
    positions: tf.keep(sinusoids(context, width)),
    blocks: makeBlocks(config, draw),
    finalNorm: makeNorm(width),
    logits: draw(width, vocabulary, 0.5 / Math.sqrt(width)),
  };
}

const listNorm = ({ gamma, beta }: Norm): Variable[] => [gamma, beta];

export function listBlocks(blocks: readonly BlockWeights[]): Variable[] {
  return blocks.flatMap((block) => [
    ...listNorm(block.attentionNorm),
    block.queryKeyValue,
    block.queryGamma,
    block.keyGamma,
    block.attended,
    ...listNorm(block.mlpNorm),
    block.up,
    block.down,
  ]);
}

/** What is trained, in an order that is always the same. */
export function listWeights(weights: Weights): Variable[] {
  return [
    weights.embedding,
    ...listBlocks(weights.blocks),
    ...listNorm(weights.finalNorm),
    weights.logits,
  ];
}

export function disposeWeights(weights: Weights): void {
  tf.dispose([listWeights(weights), weights.positions]);
}

/** The residual stream: its rows, [B * M, width], and what the last layer adds to them. */
export class Stream {
  /** The next norm adds it, in the same kernel. */
  added: Tensor | null = null;

  constructor(
    private readonly kernels: Kernels,
    public rows: Tensor,
  ) {}

  /** The layer norm of the rows, all that is added to them included. */
  norm({ gamma, beta }: Norm): Tensor {
    if (this.added === null) return this.kernels.norm(this.rows, gamma, beta);
    const { output, residual } = this.kernels.addNorm(this.added, this.rows, gamma, beta);
    this.rows = residual;
    this.added = null;
    return output;
  }
}

/** Rows [B * M, width] of normed input to rows of what attention adds to the stream. */
function attention(config: BlockConfig, kernels: Kernels, w: BlockWeights, x: Tensor): Tensor {
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

/** Takes the stream through one block: attention, and a perceptron of two layers. */
export function throughBlock(
  config: BlockConfig,
  kernels: Kernels,
  weights: BlockWeights,
  stream: Stream,
): void {
  stream.added = attention(config, kernels, weights, stream.norm(weights.attentionNorm));
  const hidden = tf.relu(tf.matMul(stream.norm(weights.mlpNorm), weights.up));
  stream.added = tf.matMul(hidden, weights.down);
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
  const stream = new Stream(kernels, tf.reshape(embedded, [-1, width]));
  for (const block of weights.blocks) throughBlock(config, kernels, block, stream);
  return tf.matMul(stream.norm(weights.finalNorm), weights.logits);
}
