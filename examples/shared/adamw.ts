// SPDX-License-Identifier: Apache-2.0
/**
 * AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019), with a learning rate
 * for each step, which tf.train.adam does not take:
 *
 *     mean   = β₁ mean   + (1 - β₁) gradient
 *     square = β₂ square + (1 - β₂) gradient²
 *     weight = (1 - rate decay) weight - rate (mean / (1 - β₁ᵗ)) / (√(square / (1 - β₂ᵗ)) + ε)
 *
 * The corrections 1 - βᵗ are drawn into the rate, and ε is divided by √(1 - β₂ᵗ) with it. The moments of all weights
 * are one vector each: a few large kernels instead of ten small ones for each weight.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { NamedTensorMap, Scalar, Tensor, Tensor1D, Variable } from '@tensorflow/tfjs-core';

const BETA_1 = 0.9;
const BETA_2 = 0.95;

/** Below what is a gradient to speak of, so that a weight without one does not move. */
const EPSILON = 1e-8;

/** The gradients of `weights`, given by the names of the variables, as one vector. Call it in a tf.tidy. */
export function flatGradient(weights: readonly Variable[], gradients: NamedTensorMap): Tensor1D {
  return tf.concat1d(
    weights.map((weight) => {
      const gradient = gradients[weight.name];
      if (gradient === undefined) throw new Error(`no gradient for ${weight.name}`);
      return tf.reshape(gradient, [-1]) as Tensor1D;
    }),
  );
}

export class AdamW {
  /** Moving averages of the gradient and of its square, [all weights]. */
  readonly mean: Variable;
  readonly square: Variable;
  /** Steps that were taken; set it along with the moments to go on where another optimizer ended. */
  steps = 0;
  private readonly constants: Record<'beta1' | 'rest1' | 'beta2' | 'rest2' | 'epsilon', Scalar>;

  /** @param decayOf what share of a weight is taken off in a step, times the learning rate. */
  constructor(
    private readonly weights: readonly Variable[],
    private readonly decayOf: (weight: Variable) => number = () => 0,
  ) {
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

  /** Moves the weights; `gradient` is that of all of them, by flatGradient. */
  step(gradient: Tensor, learningRate: number): void {
    this.steps++;
    const correction = Math.sqrt(1 - BETA_2 ** this.steps) / (1 - BETA_1 ** this.steps);
    const { beta1, rest1, beta2, rest2, epsilon } = this.constants;
    const blend = (old: Tensor, keep: Scalar, value: Tensor, share: Scalar) =>
      tf.add(tf.mul(old, keep), tf.mul(value, share));
    tf.tidy(() => {
      this.mean.assign(blend(this.mean, beta1, gradient, rest1));
      this.square.assign(blend(this.square, beta2, tf.square(gradient), rest2));
      const direction = tf.div(this.mean, tf.add(tf.sqrt(this.square), epsilon));
      const changes = tf.split(
        tf.mul(direction, learningRate * correction),
        this.weights.map((weight) => weight.size),
      );
      for (const [index, weight] of this.weights.entries()) {
        const decay = learningRate * this.decayOf(weight);
        const kept = decay === 0 ? weight : tf.mul(weight, 1 - decay);
        weight.assign(tf.sub(kept, tf.reshape(changes[index]!, weight.shape)));
      }
    });
  }

  dispose(): void {
    tf.dispose([this.mean, this.square, this.constants]);
  }
}
