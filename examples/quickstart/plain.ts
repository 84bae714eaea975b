// SPDX-License-Identifier: Apache-2.0
/** The same kernels as one writes them with tfjs' own ops, in float32. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

import type { Kernels } from './kernels.js';

export function layerNorm(x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  const normed = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
  return tf.add(tf.mul(normed, gamma), beta);
}

function rmsNorm(x: Tensor, gamma: Tensor): Tensor {
  const meanSquare = tf.mean(tf.square(x), -1, true);
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, 1e-6))), gamma);
}

/** [context, context]: 0 where a query may attend a key, and else so low that softmax gives 0. */
export function causalMask(context: number): Tensor {
  const values = new Float32Array(context * context);
  for (let i = 0; i < context; i++) values.fill(-1e9, i * context + i + 1, (i + 1) * context);
  return tf.tensor2d(values, [context, context]);
}

/** Attention of [B, M, H, K], with a mask that is added to the scores. */
export function plainAttention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor): Tensor {
  const [q, k, v] = [query, key, value].map((x) => tf.transpose(x, [0, 2, 1, 3])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3]!));
  const weights = tf.softmax(tf.add(scores, mask));
  return tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]);
}

/** @param context the length of every sequence; the mask is made once. */
export function plainKernels(context: number): Kernels {
  const mask = tf.keep(causalMask(context));
  return {
    name: 'plain tfjs',
    norm: layerNorm,
    addNorm(x, residual, gamma, beta) {
      const sum = tf.add(x, residual);
      return { output: layerNorm(sum, gamma, beta), residual: sum };
    },
    attend: (query, key, value, queryGamma, keyGamma) =>
      plainAttention(rmsNorm(query, queryGamma), rmsNorm(key, keyGamma), value, mask),
    within: (run) => run(),
    dispose: () => mask.dispose(),
  };
}
