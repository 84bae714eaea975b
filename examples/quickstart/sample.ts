// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import { drawToken } from '../shared/draw_token.js';
import { forward } from './model.js';
import { seededRandom } from '../shared/random.js';
import type { Trainer } from './train.js';

/** Logits of the token that follows the last `context` tokens. */
async function nextLogits(trainer: Trainer, tokens: readonly number[]): Promise<ArrayLike<number>> {
  const { config, kernels, weights } = trainer;
  const window = tokens.slice(-config.context);
  // What stands after the end is not seen by it: the mask is causal.
  const inputs = new Int32Array(config.context);
  inputs.set(window);
  const row = tf.tidy(() => {
    const logits: Tensor2D = forward(config, kernels, weights, inputs);
    return tf.slice(logits, [window.length - 1, 0], [1, config.vocabulary]);
  });
  const values = await row.data();
  row.dispose();
  return values;
}

/** Writes `length` tokens after `prompt`, one by one, as a model draws them. */
export async function* sample(
  trainer: Trainer,
  prompt: Int32Array,
  length: number,
  seed: number,
  temperature = 0.7,
): AsyncGenerator<number> {
  const random = seededRandom(seed);
  const tokens = Array.from(prompt);
  for (let i = 0; i < length; i++) {
    const token = drawToken(await nextLogits(trainer, tokens), temperature, random);
    tokens.push(token);
    yield token;
  }
}
