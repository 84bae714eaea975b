// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { NamedTensorMap, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';

const BETA_1 = 0.9;
const BETA_2 = 0.95;

/** Below what is a gradient to speak of, so that a weight without one does not move. */
const EPSILON = 1e-8;

/**
 * Adam with a learning rate for each step, which tf.train.adam does not take. The moments of all
 * weights are one vector each: a few large kernels instead of ten small ones for each weight.
 */
export class Adam {
  private readonly mean: Variable;
  private readonly square: Variable;
  private readonly constants: Record<'beta1' | 'rest1' | 'beta2' | 'rest2' | 'epsilon', Scalar>;
  private steps = 0;

  constructor(private readonly weights: readonly Variable[]) {
    const size = weights.reduce((total, weight) => total + weight.size, 0);
    const zeros = () => tf.tidy(() => tf.variable(tf.zeros([size]), false));
    const constant = (value: number) => tf.keep(tf.scalar(value));
    this.mean = zeros();
    this.square = zeros();
    this.constants = {
      beta1: constant(BETA_1),
      rest1: constant(1 - BETA_1),
      beta2: constant(BETA_2),
      rest2: constant(1 - BETA_2),
      epsilon: constant(EPSILON),
    };
  }

  /** Moves the weights; `gradients` are by the names of the variables. */
  step(gradients: NamedTensorMap, learningRate: number): void {
    this.steps++;
    // The corrections for moments that began at 0, drawn into the rate.
    const correction = Math.sqrt(1 - BETA_2 ** this.steps) / (1 - BETA_1 ** this.steps);
    const { beta1, rest1, beta2, rest2, epsilon } = this.constants;
    const blend = (old: Tensor, keep: Scalar, value: Tensor, share: Scalar) =>
      tf.add(tf.mul(old, keep), tf.mul(value, share));
    tf.tidy(() => {
      const gradient = tf.concat(this.weights.map((weight) => this.gradientOf(weight, gradients)));
      this.mean.assign(blend(this.mean, beta1, gradient, rest1));
      this.square.assign(blend(this.square, beta2, tf.square(gradient), rest2));
      const direction = tf.div(this.mean, tf.add(tf.sqrt(this.square), epsilon));
      const changes = tf.split(
        tf.mul(direction, learningRate * correction),
        this.weights.map((weight) => weight.size),
      );
      for (const [index, weight] of this.weights.entries()) {
        weight.assign(tf.sub(weight, tf.reshape(changes[index]!, weight.shape)));
      }
    });
  }

  private gradientOf(weight: Variable, gradients: NamedTensorMap): Tensor {
    const gradient = gradients[weight.name];
    if (gradient === undefined) throw new Error(`no gradient for ${weight.name}`);
    return tf.reshape(gradient, [-1]);
  }

  dispose(): void {
    tf.dispose([this.mean, this.square, this.constants]);
  }
}
