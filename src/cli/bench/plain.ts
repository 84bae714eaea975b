// SPDX-License-Identifier: Apache-2.0
/**
 * What a user of plain tfjs writes. Attention gets the layout that suits matMul, [B, H, M, K], and
 * its mask as a tensor that is there already, so that it spends nothing on either.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Of [B, H, M, K]; `mask` is added to the scores. */
export function plainAttention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | null): Tensor {
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3]!));
  return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), v);
}

/** [M, M]: 0 where query i may attend key j, and elsewhere so low that softmax gives 0. */
export function causalMask(length: number): Tensor {
  const values = new Float32Array(length * length);
  for (let i = 0; i < length; i++) values.fill(-1e9, i * length + i + 1, (i + 1) * length);
  return tf.tensor2d(values, [length, length]);
}

export function plainLayerNorm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: number): Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  const normed = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)));
  return tf.add(tf.mul(normed, gamma), beta);
}

export function plainRMSNorm(x: Tensor, gamma: Tensor, epsilon: number): Tensor {
  const meanSquare = tf.mean(tf.square(x), -1, true);
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), gamma);
}
