// SPDX-License-Identifier: Apache-2.0
/** Writes tokens one by one: the prompt once through the model, then each token alone, through a key/value cache. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { layers } from '../../../src/index.js';
import { drawToken } from '../../shared/draw_token.js';
import { seededRandom } from '../../shared/random.js';
import { takeValues } from '../../shared/take_values.js';

export interface GenerateOptions {
  /** Tokens to write at most. 100. */
  maxTokens?: number;
  /** Tokens that end the text; they are not given out. None. */
  stopTokens?: readonly number[];
  /** Logits are divided by it; 0 takes the most likely token each time. 0. */
  temperature?: number;
  /** Only so many of the most likely tokens can be drawn. All. */
  topK?: number;
  /** Of the draws. 1. */
  seed?: number;
}

/** Logits of the token after `tokens`, which the cache then holds. */
async function nextLogits(
  model: tfl.LayersModel,
  tokens: readonly number[],
  cache: layers.KeyValueCache,
): Promise<ArrayLike<number>> {
  const logits = tf.tidy(() => {
    const step = tf.tensor2d([...tokens], [1, tokens.length], 'int32');
    return model.apply(step, { cache, lastStepOnly: true }) as Tensor;
  });
  return takeValues(logits);
}

/**
 * The tokens that a decoder writes after a prompt. The cache is freed when the loop over them ends, early or not.
 *
 * @throws RangeError for an empty prompt, or when a token is not in the vocabulary
 * @example
 * for await (const token of generate(model, [1, 2, 3], { maxTokens: 20 })) console.log(token);
 */
export async function* generate(
  model: tfl.LayersModel,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number> {
  const { maxTokens = 100, stopTokens = [], temperature = 0, topK, seed = 1 } = options;
  const vocabulary = model.outputs[0]!.shape[2]!;
  const isToken = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabulary;
  if (prompt.length === 0) throw new RangeError('generate: the prompt is empty. Pass one token.');
  const wrong = prompt.find((id) => !isToken(id));
  if (wrong !== undefined) {
    throw new RangeError(
      `generate: the prompt has the token ${wrong}, and the model knows 0 to ${vocabulary - 1}. ` +
        'Use the tokenizer that belongs to it.',
    );
  }
  const random = seededRandom(seed);
  const cache = layers.makeCache(model, 1, prompt.length + Math.max(1, maxTokens));
  try {
    let next: readonly number[] = prompt;
    for (let written = 0; written < maxTokens; written++) {
      const token = drawToken(await nextLogits(model, next, cache), temperature, random, topK);
      if (stopTokens.includes(token)) return;
      yield token;
      next = [token];
    }
  } finally {
    cache.dispose();
  }
}
