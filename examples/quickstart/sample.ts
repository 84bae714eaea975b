// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import { forward } from './model.js';
import { seededRandom } from './random.js';
import type { Trainer } from './train.js';

/** Draws an index by softmax(logits / temperature). */
function drawToken(logits: ArrayLike<number>, temperature: number, random: () => number): number {
  const values = Array.from(logits, (logit) => logit / temperature);
  const highest = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - highest));
  let left = random() * weights.reduce((total, weight) => total + weight, 0);
  const token = weights.findIndex((weight) => (left -= weight) < 0);
  return token < 0 ? weights.length - 1 : token;
}

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
