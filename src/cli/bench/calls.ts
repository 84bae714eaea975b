// SPDX-License-Identifier: Apache-2.0
/** One call of a candidate, forward or with all gradients, and waiting for it. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Candidate } from './op.js';

export type Mode = 'forward' | 'forwardBackward';

/** The output alone, or all gradients; the caller frees them. `dy` is the gradient of the output. */
export function compute({ run, leaves }: Candidate, mode: Mode, dy: Tensor): Tensor[] {
  return tf.tidy(() => {
    if (mode === 'forward') return [run()];
    return tf.engine().gradients(() => run(), [...leaves], dy).grads;
  });
}

/** Waits until tensors are computed, without reading more than a value of the last one. */
export async function finish(tensors: readonly Tensor[]): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(tensors.at(-1)!, [-1]), 0, 1));
  await one.data();
  one.dispose();
}

/** Milliseconds of one of `count` calls in a row. */
export async function time(c: Candidate, mode: Mode, dy: Tensor, count: number): Promise<number> {
  const start = performance.now();
  for (let call = 1; call < count; call++) tf.dispose(compute(c, mode, dy));
  const last = compute(c, mode, dy);
  await finish(last);
  tf.dispose(last);
  return (performance.now() - start) / count;
}
