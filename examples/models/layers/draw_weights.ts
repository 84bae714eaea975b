// SPDX-License-Identifier: Apache-2.0
/**
 * First weights for training. The models here are built with kernels and tables of zeros, which costs nothing where a
 * checkpoint fills them; for training they are drawn by this, the same ones for the same seed.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { seededRandom } from '../../shared/random.js';

/** Standard deviation of rows of embedding tables. */
const EMBEDDING_DEVIATION = 0.02;

/** Numbers from the unit normal distribution (Box-Muller). */
function normals(count: number, random: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    const length = Math.sqrt(-2 * Math.log(1 - random()));
    return length * Math.cos(2 * Math.PI * random());
  });
}

/** The deviation that a weight is drawn with; null for one that stays: gammas, betas, biases. */
function deviationOf(name: string, shape: readonly number[]): number | null {
  if (name.includes('/embeddings')) return EMBEDDING_DEVIATION;
  if (!name.includes('kernel')) return null;
  // A projection into heads is [C, H, K]; all others have their outputs in the last axis alone.
  const intoHeads = /\/(query|key|value)\/kernel/.test(name);
  const inputs = intoHeads ? shape.slice(0, 1) : shape.slice(0, -1);
  return 1 / Math.sqrt(inputs.reduce((product, size) => product * size, 1));
}

/** Draws kernels with deviation 1/sqrt(inputs), and tables of embeddings. @returns the model */
export function drawWeights<M extends tfl.LayersModel>(model: M, seed: number): M {
  const random = seededRandom(seed);
  for (const layer of model.layers) {
    const { weights } = layer;
    if (weights.length === 0) continue;
    tf.tidy(() => {
      const values = weights.map((weight) => {
        const shape = weight.shape as number[];
        const deviation = deviationOf(weight.originalName, shape);
        if (deviation === null) return weight.read();
        const size = shape.reduce((product, n) => product * n, 1);
        return tf.mul(tf.tensor(normals(size, random), shape), deviation);
      });
      layer.setWeights(values);
    });
  }
  return model;
}
