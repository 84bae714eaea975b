// SPDX-License-Identifier: Apache-2.0
/** x -> cap * tanh(x / cap): keeps logits within ±cap, as Gemma 2 does. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { oneOf } from './apply.js';

export class Softcap extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleSoftcap';
  private readonly cap: number;

  constructor(args: { name?: string; cap: number }) {
    super(args as object);
    this.cap = args.cap;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const { cap } = this;
    return tf.tidy(() => tf.mul(tf.tanh(tf.div(oneOf(inputs), cap)), cap));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), cap: this.cap };
  }
}
tf.serialization.registerClass(Softcap);
