// SPDX-License-Identifier: Apache-2.0
/** A model, its optimizer and its place in the text: all that changes in training. */
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D, Tensor2D, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { AdamW, flatGradient } from '../shared/adamw.js';
import { batchAt, evenBatches } from '../shared/batches.js';
import type { Batch } from '../shared/batches.js';
import { crossEntropy } from '../shared/cross_entropy.js';
import { learningRateAt } from '../shared/learning_rate.js';
import { takeValues } from '../shared/take_values.js';
import type { Corpus } from './corpus.js';
import { DataOrder } from './data_order.js';
import { makeModel } from './model.js';
import type { Settings } from './settings.js';

/** What a step tells. */
export interface StepReport {
  /** Before the step, in nats per token, mean of its batches. */
  loss: number;
  /** Of the gradient, before it was clipped. */
  gradientNorm: number;
  learningRate: number;
}

interface LossAndGradient {
  loss: Scalar;
  /** Of all weights. */
  gradient: Tensor1D;
}

const EVALUATION_BATCHES = 8;

export class Trainer {
  readonly model: LayersModel;
  /** In an order that is always the same, the one of the optimizer's moments. */
  readonly weights: readonly Variable[];
  readonly optimizer: AdamW;
  order: DataOrder;

  constructor(
    readonly settings: Settings,
    private readonly corpus: Corpus,
  ) {
    this.model = makeModel(settings, corpus.tokenizer.size);
    this.weights = this.model.trainableWeights.map((weight) => weight.read() as Variable);
    // Norms have one axis, and would have biases if there were any; matrices and the embedding have more.
    const decayOf = ({ rank }: Variable) => (rank > 1 ? settings.weightDecay : 0);
    this.optimizer = new AdamW(this.weights, decayOf);
    const { training } = corpus;
    this.order = new DataOrder(training.length, settings.context, {
      epoch: settings.seed,
      taken: 0,
    });
  }

  /** Steps that were taken. */
  get steps(): number {
    return this.optimizer.steps;
  }

  get parameters(): number {
    return this.weights.reduce((total, weight) => total + weight.size, 0);
  }

  /** Of the text that is trained on. */
  get trainingTokens(): number {
    return this.corpus.training.length;
  }

  /** Tokens of a step. */
  get tokens(): number {
    const { batch, accumulate, context } = this.settings;
    return batch * accumulate * context;
  }

  async step(): Promise<StepReport> {
    const { batch, accumulate, context, steps, learningRate: peak, warmUp } = this.settings;
    const learningRate = learningRateAt(this.steps, steps, peak, warmUp);
    const batches = Array.from({ length: accumulate }, () =>
      batchAt(this.corpus.training, this.order.next(batch), context),
    );
    const report = tf.tidy(() => {
      const { loss, gradient } = this.meanGradient(batches);
      const norm = tf.sqrt(tf.sum(tf.square(gradient))) as Scalar;
      this.optimizer.step(this.clipped(gradient, norm), learningRate);
      return tf.stack([loss, norm]);
    });
    const [loss, gradientNorm] = await takeValues(report);
    return { loss: loss!, gradientNorm: gradientNorm!, learningRate };
  }

  /** Over all batches; holds the sum and the gradient of one batch at a time. */
  private meanGradient(batches: readonly Batch[]): LossAndGradient {
    const sum = this.gradientOf(batches[0]!);
    if (batches.length === 1) return sum;
    for (const batch of batches.slice(1)) {
      const before = [sum.loss, sum.gradient];
      const { loss, gradient } = this.gradientOf(batch);
      sum.loss = tf.add(sum.loss, loss);
      sum.gradient = tf.add(sum.gradient, gradient);
      tf.dispose([...before, loss, gradient]);
    }
    const count = tf.scalar(batches.length);
    return { loss: tf.div(sum.loss, count), gradient: tf.div(sum.gradient, count) };
  }

  private gradientOf({ inputs, targets }: Batch): LossAndGradient {
    return tf.tidy(() => {
      const f = () => crossEntropy(this.logits(inputs, true), targets);
      const { value, grads } = tf.variableGrads(f, [...this.weights]);
      return { loss: value, gradient: flatGradient(this.weights, grads) };
    });
  }

  /** Scaled so that its norm is no greater than the settings say. */
  private clipped(gradient: Tensor1D, norm: Scalar): Tensor1D {
    const { clip } = this.settings;
    return clip === 0 ? gradient : tf.mul(gradient, tf.minimum(1, tf.div(clip, norm)));
  }

  /** The mean loss over the held-out text, or over batches spread evenly over it, in nats per token. */
  async evaluate(): Promise<number> {
    const { batch, context } = this.settings;
    const { heldOut } = this.corpus;
    const count = Math.ceil((heldOut.length - 1) / context / batch);
    const batches = evenBatches(heldOut, batch, context, Math.min(EVALUATION_BATCHES, count));
    let total = 0;
    for (const { inputs, targets } of batches) {
      const loss = tf.tidy(() => crossEntropy(this.logits(inputs, false), targets));
      total += (await takeValues(loss))[0]!;
    }
    return total / batches.length;
  }

  private logits(inputs: Int32Array, training: boolean): Tensor2D {
    const { context } = this.settings;
    const tokens = tf.tensor2d(inputs, [inputs.length / context, context], 'int32');
    // With `training` tfjs keeps what the gradient needs.
    const logits = this.model.apply(tokens, { training }) as tf.Tensor;
    return tf.reshape(logits, [-1, this.corpus.tokenizer.size]);
  }

  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}
