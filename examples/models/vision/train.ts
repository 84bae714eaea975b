// SPDX-License-Identifier: Apache-2.0
/** Trains a small vision transformer on drawn shapes, by model.fit as any tfjs model. */
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';

import { disposeModel } from '../layers/apply.js';
import { drawWeights } from '../layers/draw_weights.js';
import { buildVisionTransformer } from './model.js';
import { CLASSES, makePictures } from './pictures.js';

const SIZE = 16;
const TRAINING = 4000;
const BATCH = 50;

export interface VisionRun {
  epochs: number;
  seed: number;
  /** Is told after each epoch what share of the training pictures was named rightly. */
  onEpoch?: (epoch: number, loss: number, accuracy: number) => void;
}

/** @returns the share of 500 new pictures that the model names rightly */
export async function trainVision({ epochs, seed, onEpoch }: VisionRun): Promise<number> {
  const model = drawWeights(
    buildVisionTransformer({
      ...{ size: SIZE, channels: 1, patch: 4, classes: CLASSES.length },
      ...{ width: 48, mlpWidth: 96, heads: 4, blocks: 2, castTo: 'bfloat16' },
    }),
    seed,
  );
  const training = makePictures(TRAINING, SIZE, seed);
  const validation = makePictures(500, SIZE, seed + 1);
  const optimizer = tf.train.adam(2e-3);
  model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  try {
    // They are drawn in no order, and a shuffle would be another one in each run.
    await model.fit(training.images, training.labels, {
      ...{ epochs, batchSize: BATCH, shuffle: false, verbose: 0, yieldEvery: 'never' },
      callbacks: {
        onEpochEnd: (epoch, logs) => onEpoch?.(epoch + 1, logs!['loss']!, logs!['acc']!),
      },
    });
    const result = model.evaluate(validation.images, validation.labels) as Scalar[];
    const [accuracy] = await result[1]!.data();
    tf.dispose(result);
    return accuracy!;
  } finally {
    optimizer.dispose();
    disposeModel(model);
    tf.dispose([training.images, training.labels, validation.images, validation.labels]);
  }
}
