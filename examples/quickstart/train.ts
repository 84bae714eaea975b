// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor2D } from '@tensorflow/tfjs-core';

import { AdamW, flatGradient } from '../shared/adamw.js';
import type { Batch } from '../shared/batches.js';
import { crossEntropy } from '../shared/cross_entropy.js';
import type { Kernels } from './kernels.js';
import { disposeWeights, forward, listWeights, makeWeights } from './model.js';
import type { ModelConfig, Weights } from './model.js';

/** Reads a scalar and disposes it. */
async function read(scalar: Scalar): Promise<number> {
  const [value] = await scalar.data();
  scalar.dispose();
  return value!;
}

/** A model and its optimizer. */
export class Trainer {
  readonly weights: Weights;
  private readonly optimizer: AdamW;

  constructor(
    readonly config: ModelConfig,
    readonly kernels: Kernels,
    seed: number,
  ) {
    this.weights = makeWeights(config, seed);
    this.optimizer = new AdamW(listWeights(this.weights));
  }

  get parameters(): number {
    return listWeights(this.weights).reduce((total, weight) => total + weight.size, 0);
  }

  /** One step of training. The loss before it, in nats per token, follows when the device has it. */
  step({ inputs, targets }: Batch, learningRate: number): Promise<number> {
    const step = () => {
      const weights = listWeights(this.weights);
      const loss = () => crossEntropy(this.forward(inputs), targets);
      const { value, grads } = tf.variableGrads(loss, weights);
      this.optimizer.step(flatGradient(weights, grads), learningRate);
      return value;
    };
    return read(this.kernels.within(() => tf.tidy(step)));
  }

  /** The mean loss over batches, in nats per token. */
  async evaluate(batches: readonly Batch[]): Promise<number> {
    let total = 0;
    for (const { inputs, targets } of batches) {
      const loss = () => tf.tidy(() => crossEntropy(this.forward(inputs), targets));
      total += await read(this.kernels.within(loss));
    }
    return total / batches.length;
  }

  private forward(inputs: Int32Array): Tensor2D {
    return forward(this.config, this.kernels, this.weights, inputs);
  }

  dispose(): void {
    this.optimizer.dispose();
    disposeWeights(this.weights);
    this.kernels.dispose();
  }
}
