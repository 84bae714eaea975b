// SPDX-License-Identifier: Apache-2.0
/**
 * A GPT of tf.layers, blocks of pre-norm attention and a two-layer perceptron, once from what tf.layers and
 * tfjs have and once with this package's layers. All else, the dense layers above all, is the same.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { layers as ours } from '../../../src/index.js';
import { draw } from '../../../test/support/draw.js';
import type { Work } from '../../shared/work.js';
import type { ModelCase } from '../cases.js';

const HEADS_FIRST = [0, 2, 1, 3];
const HIDDEN = 4;

/** Causal attention as a user of plain tfjs writes it: [q, k, v], each [B, M, H, K]. */
class PlainAttention extends tfl.layers.Layer {
  static className = 'PlainAttention';

  constructor(private readonly mask: tf.Tensor) {
    super({});
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    return inputShape[0] as tfl.Shape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [query, key, value] = (inputs as tf.Tensor[]).map((x) => tf.transpose(x, HEADS_FIRST));
      const scale = 1 / Math.sqrt(query!.shape[3]!);
      const scores = tf.mul(tf.matMul(query!, key!, false, true), scale);
      const weights = tf.softmax(tf.add(scores, this.mask));
      return tf.transpose(tf.matMul(weights, value!), HEADS_FIRST);
    });
  }
}

/** 0 where a query sees a key, else -1e9. */
function causalMask(tokens: number): tf.Tensor {
  return tf.tidy(() => {
    const query = tf.reshape(tf.range(0, tokens, 1, 'int32'), [tokens, 1]);
    const hidden = tf.greater(tf.range(0, tokens, 1, 'int32'), query);
    return tf.mul(tf.cast(hidden, 'float32'), -1e9);
  });
}

interface Parts {
  norm: () => tfl.layers.Layer;
  attention: () => tfl.layers.Layer;
}

const apply = (layer: tfl.layers.Layer, x: SymbolicTensor | SymbolicTensor[]) =>
  layer.apply(x) as SymbolicTensor;

function block(x: SymbolicTensor, c: ModelCase, { norm, attention }: Parts): SymbolicTensor {
  const { tokens, width, heads } = c;
  const dense = (units: number, y: SymbolicTensor, activation: 'linear' | 'relu' = 'linear') =>
    apply(tfl.layers.dense({ units, activation }), y);
  const reshape = (targetShape: number[], y: SymbolicTensor) =>
    apply(tfl.layers.reshape({ targetShape }), y);
  const normed = apply(norm(), x);
  const [q, k, v] = [0, 1, 2].map(() =>
    reshape([tokens, heads, width / heads], dense(width, normed)),
  );
  const attended = reshape([tokens, width], apply(attention(), [q!, k!, v!]));
  const sum = apply(tfl.layers.add(), [x, dense(width, attended)]);
  const hidden = dense(HIDDEN * width, apply(norm(), sum), 'relu');
  return apply(tfl.layers.add(), [sum, dense(width, hidden)]);
}

function makeModel(c: ModelCase, parts: Parts): tfl.LayersModel {
  const inputs = tfl.input({ shape: [c.tokens, c.width] });
  let outputs = inputs;
  for (let layer = 0; layer < c.layers; layer++) outputs = block(outputs, c, parts);
  return tfl.model({ inputs, outputs });
}

/** The same values in every model: matrices drawn, gammas 1, all else 0. */
function setWeights(model: tfl.LayersModel): void {
  for (const [n, weight] of model.weights.entries()) {
    const [rows = 1, columns] = weight.shape as number[];
    const value = tf.tidy(() => {
      if (columns === undefined) {
        return weight.name.includes('gamma') ? tf.ones([rows]) : tf.zeros([rows]);
      }
      const values = draw(n + 1, rows * columns).map((x) => x / Math.sqrt(rows));
      return tf.tensor2d(values, [rows, columns]);
    });
    weight.write(value);
    value.dispose();
  }
}

function step(c: ModelCase, model: tfl.LayersModel, x: tf.Tensor): Record<string, tf.Tensor> {
  const forward = () => model.apply(x) as tf.Tensor;
  if (c.mode === 'forward') return { output: forward() };
  const loss = () => tf.mul(tf.sum(tf.square(forward())), 1 / c.tokens) as tf.Scalar;
  const { grads, value } = tf.variableGrads(loss);
  return { value, ...grads };
}

/** What is compared: the output, or the gradients of the first and the last weight, and the loss. */
function compared(results: Record<string, tf.Tensor>): tf.Tensor[] {
  const all = Object.values(results);
  return all.length === 1 ? all : [all[0]!, all[1]!, all.at(-1)!];
}

export function modelWork(c: ModelCase, fused: boolean): Work {
  const mask = fused ? null : causalMask(c.tokens);
  const model = makeModel(
    c,
    fused
      ? {
          norm: () => ours.fusedLayerNormalization(),
          attention: () => ours.memoryEfficientAttention({ causal: true }),
        }
      : {
          norm: () => tfl.layers.layerNormalization(),
          attention: () => new PlainAttention(mask!),
        },
  );
  setWeights(model);
  const x = tf.tensor(draw(1, c.tokens * c.width), [1, c.tokens, c.width]);
  return {
    run: () => tf.dispose(tf.tidy(() => step(c, model, x))),
    outputs: async () => {
      const results = tf.tidy(() => step(c, model, x));
      const outputs: Record<string, Float32Array> = {};
      for (const [n, tensor] of compared(results).entries()) {
        outputs[String(n)] = (await tensor.data()) as Float32Array;
      }
      tf.dispose(results);
      return outputs;
    },
    release: () => {
      tf.dispose([x, ...model.weights.map((weight) => weight.read())]);
      mask?.dispose();
    },
  };
}
