// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { NamedTensorMap, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';

interface Moments {
  weight: Variable;
  mean: Variable;
  square: Variable;
}

/** Adam with a learning rate for each step, which tf.train.adam does not take. */
export class Adam {
  private readonly moments: Moments[];
  private readonly scalars: Scalar[];
  private readonly epsilon: Scalar;
  private steps = 0;

  constructor(
    weights: readonly Variable[],
    private readonly beta1 = 0.9,
    private readonly beta2 = 0.95,
  ) {
    const zeros = (weight: Variable) => tf.tidy(() => tf.variable(tf.zerosLike(weight), false));
    this.moments = weights.map((weight) => ({
      weight,
      mean: zeros(weight),
      square: zeros(weight),
    }));
    this.scalars = [beta1, 1 - beta1, beta2, 1 - beta2].map((x) => tf.keep(tf.scalar(x)));
    this.epsilon = tf.keep(tf.scalar(1e-8));
  }

  /** Moves the weights; `gradients` are by the names of the variables. */
  step(gradients: NamedTensorMap, learningRate: number): void {
    this.steps++;
    // The corrections for moments that began at 0, drawn into the rate.
    const correction = Math.sqrt(1 - this.beta2 ** this.steps) / (1 - this.beta1 ** this.steps);
    const [keepMean, newMean, keepSquare, newSquare] = this.scalars as [
      Scalar,
      Scalar,
      Scalar,
      Scalar,
    ];
    tf.tidy(() => {
      const rate = tf.scalar(learningRate * correction);
      const blend = (old: Tensor, keep: Scalar, value: Tensor, share: Scalar) =>
        tf.add(tf.mul(old, keep), tf.mul(value, share));
      for (const { weight, mean, square } of this.moments) {
        const gradient = gradients[weight.name];
        if (gradient === undefined) throw new Error(`no gradient for ${weight.name}`);
        mean.assign(blend(mean, keepMean, gradient, newMean));
        square.assign(blend(square, keepSquare, tf.square(gradient), newSquare));
        const change = tf.div(mean, tf.add(tf.sqrt(square), this.epsilon));
        weight.assign(tf.sub(weight, tf.mul(change, rate)));
      }
    });
  }

  dispose(): void {
    tf.dispose([
      this.moments.map(({ mean, square }) => [mean, square]),
      this.scalars,
      this.epsilon,
    ]);
  }
}
