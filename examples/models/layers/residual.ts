// SPDX-License-Identifier: Apache-2.0
/**
 * The sum of residual connections, [stream, branch, …] -> stream + branch + …, with the padding mask of the stream.
 * tf.layers.add gives the masks of its inputs a third axis, which no later layer can use.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';

export class Residual extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleResidual';

  constructor(args: { name?: string } = {}) {
    super(args);
    this.supportsMasking = true;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    return (inputShape as Shape[])[0]!;
  }

  override computeMask(_inputs: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor {
    // tfjs takes a missing mask, and declares none.
    return (Array.isArray(mask) ? mask[0] : mask) as Tensor;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    return tf.addN(inputs as Tensor[]);
  }
}
tf.serialization.registerClass(Residual);
