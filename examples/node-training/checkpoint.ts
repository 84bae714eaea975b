// SPDX-License-Identifier: Apache-2.0
/** What a checkpoint is: all that decides how training goes on, so that it does as if it had never stopped. */
import * as tf from '@tensorflow/tfjs-core';

import type { TextFile } from './corpus.js';
import { DataOrder } from './data_order.js';
import type { OrderState } from './data_order.js';
import type { Settings } from './settings.js';
import type { Tokenizer, TokenizerData } from './tokens/tokenizer.js';
import type { Trainer } from './trainer.js';

/** The part that is JSON. */
export interface CheckpointState {
  format: 1;
  steps: number;
  settings: Settings;
  /** The text is not kept; its hash tells whether it is still the same. */
  text: Pick<TextFile, 'path' | 'sha256'>;
  tokenizer: TokenizerData;
  order: OrderState;
}

export interface Checkpoint {
  state: CheckpointState;
  model: tf.io.ModelArtifacts;
  /** The optimizer's moments, one after the other. */
  moments: Float32Array;
}

/** Copies everything out of a trainer. */
export async function takeCheckpoint(
  trainer: Trainer,
  tokenizer: Tokenizer,
  { path, sha256 }: Pick<TextFile, 'path' | 'sha256'>,
): Promise<Checkpoint> {
  const { settings, optimizer, model, order, steps } = trainer;
  let artifacts: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler((given) => {
      artifacts = given;
      return Promise.resolve({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given) });
    }),
  );
  const [mean, square] = await Promise.all([optimizer.mean.data(), optimizer.square.data()]);
  const moments = new Float32Array(mean.length + square.length);
  moments.set(mean);
  moments.set(square, mean.length);
  const text = { path, sha256 };
  const state = { steps, settings, text, tokenizer: tokenizer.data, order: order.state };
  return { state: { format: 1, ...state }, model: artifacts!, moments };
}

/**
 * Puts a checkpoint into a trainer with the same settings and the same text.
 *
 * @throws Error if the weights are not those of the model
 */
export function restore(trainer: Trainer, { state, model, moments }: Checkpoint): void {
  const { optimizer, settings } = trainer;
  tf.tidy(() => {
    const buffer = tf.io.concatenateArrayBuffers([model.weightData as ArrayBuffer].flat());
    const named = tf.io.decodeWeights(buffer, model.weightSpecs!);
    for (const weight of trainer.model.weights) {
      const value = named[weight.originalName];
      if (!value) throw new Error(`there is no weight ${weight.originalName}`);
      weight.write(value);
    }
    const half = moments.length / 2;
    optimizer.mean.assign(tf.tensor1d(moments.subarray(0, half)));
    optimizer.square.assign(tf.tensor1d(moments.subarray(half)));
  });
  optimizer.steps = state.steps;
  trainer.order = new DataOrder(trainer.trainingTokens, settings.context, state.order);
}
