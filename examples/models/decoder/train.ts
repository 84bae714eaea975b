// SPDX-License-Identifier: Apache-2.0
/** Trains a small decoder on sequences of tokens, by the loss of every next token. */
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { crossEntropy } from '../../shared/cross_entropy.js';
import { learningRateAt } from '../../shared/learning_rate.js';
import { AdamW, flatGradient } from '../../shared/adamw.js';

export interface DecoderRun {
  steps: number;
  learningRate: number;
  /** The sequences of a step, all of one length; the last token of each is only a target. */
  nextBatch: () => number[][];
  onStep?: (step: number, loss: number) => void;
}

/** The variables of a model that training changes. */
export function variablesOf(model: tfl.LayersModel): Variable[] {
  return model.trainableWeights.map((weight) => weight.read() as Variable);
}

/** The mean loss of the next tokens, in nats. Call it in a tf.tidy. */
function nextTokenLoss(model: tfl.LayersModel, batch: number[][], training: boolean): Scalar {
  const inputs = tf.tensor2d(
    batch.map((row) => row.slice(0, -1)),
    undefined,
    'int32',
  );
  const logits = model.apply(inputs, { training }) as Tensor;
  const rows = tf.reshape(logits, [-1, logits.shape[2]!]) as Tensor2D;
  return crossEntropy(rows, Int32Array.from(batch.flatMap((row) => row.slice(1))));
}

/** The loss of a batch without training on it. */
export async function evaluateDecoder(model: tfl.LayersModel, batch: number[][]): Promise<number> {
  const loss = tf.tidy(() => nextTokenLoss(model, batch, false));
  const [value] = await loss.data();
  loss.dispose();
  return value!;
}

/** Trains a model of `buildDecoder` in place. @returns the loss of the last step */
export async function trainDecoder(model: tfl.LayersModel, run: DecoderRun): Promise<number> {
  const { steps, learningRate, nextBatch, onStep } = run;
  const variables = variablesOf(model);
  const optimizer = new AdamW(variables);
  let last = NaN;
  try {
    for (let step = 0; step < steps; step++) {
      const batch = nextBatch();
      const loss = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(
          () => nextTokenLoss(model, batch, true),
          variables,
        );
        optimizer.step(flatGradient(variables, grads), learningRateAt(step, steps, learningRate));
        return value;
      });
      [last] = (await loss.data()) as unknown as [number];
      loss.dispose();
      onStep?.(step + 1, last);
    }
    return last;
  } finally {
    optimizer.dispose();
  }
}
