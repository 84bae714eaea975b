// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor2D } from '@tensorflow/tfjs-core';

/**
 * The mean cross entropy of the next tokens, in nats. Call it in a tf.tidy.
 *
 * @param logits [tokens, vocabulary]
 */
export function crossEntropy(logits: Tensor2D, targets: Int32Array): Scalar {
  const labels = tf.oneHot(tf.tensor1d(targets, 'int32'), logits.shape[1]);
  return tf.losses.softmaxCrossEntropy(tf.cast(labels, 'float32'), logits);
}
