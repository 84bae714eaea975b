// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps NaN and infinities of hidden keys, and of queries that do not see a key, out of results.
 *
 * The weight of a hidden key is 0, but 0 * NaN is NaN. So products are made of the finite parts of
 * the tensors, and a flag for each row with NaN or infinity in it travels along as one more column:
 * the product with the weights is above 0 in exactly the rows that such a row reached, and these
 * become NaN at the end. Needed only where hidesKeys(); otherwise each row reaches all others.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** x without its NaN and infinite elements, which become 0. */
export function finitePart(x: Tensor): Tensor {
  return tf.where(tf.isFinite(x), x, tf.zerosLike(x));
}

/** [.., 1]: 1 where a row (last axis) of any of the tensors is not finite, else 0. */
export function flagSpoilt(...tensors: Tensor[]): Tensor {
  return tf.cast(
    tensors
      .map((x) => tf.any(tf.logicalNot(tf.isFinite(x)), x.rank - 1, true))
      .reduce((flags, more) => tf.logicalOr(flags, more)),
    'float32',
  );
}

/** x plus NaN in the rows whose flag is not 0; flags are [.., 1] and broadcast. */
export function spoil(x: Tensor, flags: Tensor): Tensor {
  return tf.add(x, tf.where(tf.notEqual(flags, 0), tf.fill(flags.shape, NaN), tf.zerosLike(flags)));
}

/** Columns begin <= column < end of the last axis. */
export function columns(x: Tensor, begin: number, end: number): Tensor {
  const start = x.shape.map((_, axis) => (axis === x.rank - 1 ? begin : 0));
  return tf.slice(x, start, [...x.shape.slice(0, -1), end - begin]);
}
