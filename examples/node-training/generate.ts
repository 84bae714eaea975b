// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { layers } from '../../src/index.js';
import type { KeyValueCache } from '../../src/layers/index.js';
import { drawToken } from '../shared/draw_token.js';
import { takeValues } from '../shared/take_values.js';

export interface Generation {
  model: LayersModel;
  /** The length of sequences that the model was trained on. */
  context: number;
  /** At least one token. */
  prompt: ArrayLike<number>;
  count: number;
  temperature: number;
  topK: number;
  random: () => number;
}

/** Logits of the token after `tokens`, which come after those in the cache. */
async function nextLogits(
  model: LayersModel,
  tokens: readonly number[],
  cache: KeyValueCache,
): Promise<ArrayLike<number>> {
  const last = tf.tidy(() => {
    const input = tf.tensor2d([...tokens], [1, tokens.length], 'int32');
    const logits = model.apply(input, { cache }) as Tensor;
    return tf.slice(logits, [0, tokens.length - 1, 0], [1, 1, logits.shape[2]!]);
  });
  return takeValues(last);
}

/**
 * Writes tokens after a prompt, one by one. Each costs one token's work: the keys and values of those before it are in
 * a cache. When it is full, it is filled again with the last half of it.
 */
export async function* generate(generation: Generation): AsyncGenerator<number> {
  const { model, context, prompt, count, temperature, topK, random } = generation;
  const cache = layers.makeCache(model, 1, context);
  const kept = Math.max(1, Math.floor(context / 2));
  const tokens = Array.from(prompt);
  let fresh = tokens.slice(-kept);
  try {
    for (let i = 0; i < count; i++) {
      if (cache.length + fresh.length > context) {
        cache.reset();
        fresh = tokens.slice(-kept);
      }
      const logits = await nextLogits(model, fresh, cache);
      const token = drawToken(logits, temperature, random, topK);
      tokens.push(token);
      fresh = [token];
      yield token;
    }
  } finally {
    cache.dispose();
  }
}
