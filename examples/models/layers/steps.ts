// SPDX-License-Identifier: Apache-2.0
/** Layers that take steps out of a sequence: the first for a pooler, the last for the logits of the next token. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';

import { oneOf } from './apply.js';

/** [B, M, C] -> [B, C]: the step of BERT's [CLS] token. */
export class FirstStep extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleFirstStep';

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [batch, , width] = inputShape as Shape;
    return [batch!, width!];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const x = oneOf(inputs);
    return tf.tidy(() => tf.squeeze(tf.slice(x, [0, 0, 0], [-1, 1, -1]), [1]));
  }
}
tf.serialization.registerClass(FirstStep);

/**
 * [B, M, C] as it is; of a call `model.apply(x, {lastStepOnly: true})` the last step alone, [B, 1, C]. It stands before
 * the logits: of a prompt of 1,000 tokens those of a vocabulary of 150,000 would take 600 MB, and one row is used.
 */
export class LastStep extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleLastStep';

  override call(inputs: Tensor | Tensor[], kwargs: Record<string, unknown>): Tensor {
    const x = oneOf(inputs);
    const start = kwargs['lastStepOnly'] === true ? x.shape[1]! - 1 : 0;
    return tf.tidy(() => tf.slice(x, [0, start, 0], [-1, -1, -1]));
  }
}
tf.serialization.registerClass(LastStep);
