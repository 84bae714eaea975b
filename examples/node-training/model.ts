// SPDX-License-Identifier: Apache-2.0
/**
 * A GPT of the present form (Llama's, with Qwen3's norm of queries and keys) from tf.layers and this package's layers:
 * blocks of attention and of a gated MLP, each after an RMSNorm and added to the stream; no biases.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

import { layers } from '../../src/index.js';
import type { MultiHeadAttentionArgs } from '../../src/layers/index.js';
import type { Settings, Strategy } from './settings.js';

type Layer = tfl.layers.Layer;

const CASTS: Record<Strategy, Pick<MultiHeadAttentionArgs, 'castTo' | 'castStrategy'>> = {
  float32: { castTo: 'float32' },
  'cast-output': { castTo: 'bfloat16', castStrategy: 'output' },
  'cast-weights': { castTo: 'bfloat16', castStrategy: 'weights' },
};

/** A gated MLP has three matrices: with this width they have as many weights as the two of a usual one. */
function hiddenWidth(width: number): number {
  return Math.ceil((8 * width) / 3 / 16) * 16;
}

function applied(layer: Layer, inputs: SymbolicTensor | SymbolicTensor[]): SymbolicTensor {
  return layer.apply(inputs) as SymbolicTensor;
}

function attention(settings: Settings, name: string): Layer {
  const { width, heads, kvHeads, strategy } = settings;
  return layers.multiHeadAttention({
    ...{ name, numHeads: heads, numKvHeads: kvHeads, keyDim: width / heads },
    ...{ causal: true, rope: true, qkNorm: 'rms', useBias: false },
    ...CASTS[strategy],
  });
}

function mlp(width: number, name: string, x: SymbolicTensor): SymbolicTensor {
  const dense = (part: string, units: number, activation?: 'swish') =>
    tfl.layers.dense({
      ...{ name: `${name}_${part}`, units, useBias: false },
      ...(activation ? { activation } : {}),
    });
  const gate = applied(dense('gate', hiddenWidth(width), 'swish'), x);
  const up = applied(dense('up', hiddenWidth(width)), x);
  const hidden = applied(tfl.layers.multiply({ name: `${name}_product` }), [gate, up]);
  return applied(dense('down', width), hidden);
}

/**
 * The model, with weights that `seed` of the settings draws: tokens [B, M] -> logits [B, M, vocabulary]. Any number
 * of steps, so that a key/value cache can serve.
 */
export function makeModel(settings: Settings, vocabulary: number): LayersModel {
  const { width, blocks } = settings;
  const norm = (name: string) => layers.fusedRMSNormalization({ name });
  const sum = (name: string) => tfl.layers.add({ name });
  const tokens = tfl.input({ shape: [null], dtype: 'int32', name: 'tokens' });
  const embedding = tfl.layers.embedding({
    ...{ name: 'embedding', inputDim: vocabulary, outputDim: width },
  });
  let stream = applied(embedding, tokens);
  for (let block = 0; block < blocks; block++) {
    const name = (part: string) => `block_${block}_${part}`;
    const normed = applied(norm(name('attention_norm')), stream);
    const attended = applied(attention(settings, name('attention')), normed);
    stream = applied(sum(name('attention_sum')), [stream, attended]);
    const added = mlp(width, name('mlp'), applied(norm(name('mlp_norm')), stream));
    stream = applied(sum(name('mlp_sum')), [stream, added]);
  }
  const logits = tfl.layers.dense({ name: 'logits', units: vocabulary, useBias: false });
  const outputs = applied(logits, applied(norm('final_norm'), stream));
  const model = tfl.model({ inputs: tokens, outputs, name: 'gpt' });
  drawWeights(model, settings);
  return model;
}

/** What a matrix's values deviate by: such that what it makes is about as large as what it gets. */
function deviationOf(name: string, shape: readonly number[], blocks: number): number {
  if (name.startsWith('embedding/')) return 0.5;
  const isOutput = name.includes('attention_output/');
  const rows = isOutput ? shape[0]! * shape[1]! : shape[0]!;
  // What blocks add to the stream starts small, so that it does not grow with their number.
  if (isOutput || name.includes('_mlp_down/')) return 1 / Math.sqrt(2 * blocks * rows);
  return (name.startsWith('logits/') ? 0.5 : 1) / Math.sqrt(rows);
}

/** Draws all matrices; norms keep their ones. tfjs' initializers would draw query and key from the same seed. */
function drawWeights(model: LayersModel, { blocks, seed }: Settings): void {
  model.weights.forEach((weight, index) => {
    const shape = weight.shape as number[];
    if (shape.length < 2) return;
    const deviation = deviationOf(weight.originalName, shape, blocks);
    tf.tidy(() => {
      const drawn = tf.randomNormal(shape, 0, deviation, 'float32', seed * 1000 + index + 1);
      weight.write(drawn as Tensor);
    });
  });
}
