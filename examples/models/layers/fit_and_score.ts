// SPDX-License-Identifier: Apache-2.0
/** Trains a classifier by model.fit, as any tfjs model, and says how well it does on what it has not seen. */
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { disposeModel } from './apply.js';

/** Inputs and labels. */
export interface LabelledSet {
  x: Tensor | Tensor[];
  y: Tensor;
}

export interface ClassifierRun {
  /** Not compiled. */
  model: tfl.LayersModel;
  loss: 'binaryCrossentropy' | 'categoricalCrossentropy';
  learningRate: number;
  epochs: number;
  training: LabelledSet;
  validation: LabelledSet;
  /** Is told after each epoch what share of the training set was judged rightly. */
  onEpoch: ((epoch: number, loss: number, accuracy: number) => void) | undefined;
}

const BATCH = 50;

/** @returns the share of `validation` that is judged rightly; model and sets are freed */
export async function fitAndScore(run: ClassifierRun): Promise<number> {
  const { model, loss, learningRate, epochs, training, validation, onEpoch } = run;
  const optimizer = tf.train.adam(learningRate);
  model.compile({ optimizer, loss, metrics: ['accuracy'] });
  try {
    // They are drawn in no order, and a shuffle would be another one in each run.
    await model.fit(training.x, training.y, {
      ...{ epochs, batchSize: BATCH, shuffle: false, verbose: 0, yieldEvery: 'never' },
      callbacks: {
        onEpochEnd: (epoch, logs) => onEpoch?.(epoch + 1, logs!['loss']!, logs!['acc']!),
      },
    });
    const result = model.evaluate(validation.x, validation.y) as Scalar[];
    const [accuracy] = await result[1]!.data();
    tf.dispose(result);
    return accuracy!;
  } finally {
    optimizer.dispose();
    disposeModel(model);
    tf.dispose([training, validation].flatMap(({ x, y }) => [x, y].flat()));
  }
}
