// SPDX-License-Identifier: Apache-2.0
/** Adds a learned vector for each position, from a table of all that there can be: BERT's and ViT's. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';

import { oneOf } from './apply.js';

export interface LearnedPositionsArgs {
  name?: string;
  /** The most steps that an input may have. */
  positions: number;
}

export class LearnedPositions extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleLearnedPositions';
  private readonly positions: number;
  private table: LayerVariable | null = null;

  constructor(args: LearnedPositionsArgs) {
    super(args as object);
    this.positions = args.positions;
    this.supportsMasking = true;
  }

  override build(inputShape: Shape | Shape[]): void {
    const width = (inputShape as Shape)[2]!;
    const zeros = tfl.initializers.zeros();
    this.table = this.addWeight('embeddings', [this.positions, width], 'float32', zeros);
    super.build(inputShape);
  }

  /** x [B, M, C] -> [B, M, C]. @throws RangeError for more steps than the table has rows */
  override call(inputs: Tensor | Tensor[]): Tensor {
    const x = oneOf(inputs);
    const steps = x.shape[1]!;
    if (steps > this.positions) {
      throw new RangeError(
        `${this.name}: the input has ${steps} steps, and there are ${this.positions} positions. ` +
          'Shorten it, or build a model with more.',
      );
    }
    return tf.tidy(() => tf.add(x, tf.slice(this.table!.read(), [0, 0], [steps, -1])));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), positions: this.positions };
  }
}
tf.serialization.registerClass(LearnedPositions);
