// SPDX-License-Identifier: Apache-2.0
/**
 * The middle of a gated MLP, [gate, up] -> act(gate) * up: SwiGLU with 'silu', GeGLU with 'geluTanh'
 * (Shazeer, "GLU Variants Improve Transformer", 2020). Not by tfjs' activation `gelu_new`: tfjs
 * writes it in a way that it cannot read, as every value with an underscore.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';

/** silu: x sigmoid(x). geluTanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))). */
export type Gate = 'silu' | 'geluTanh';

const GATES: Readonly<Record<Gate, (x: Tensor) => Tensor>> = {
  silu: (x) => tf.mul(x, tf.sigmoid(x)),
  geluTanh(x) {
    const cubic = tf.mul(tf.add(tf.mul(tf.square(x), 0.044715), 1), x);
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1));
  },
};

export class GatedProduct extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleGatedProduct';
  private readonly gate: Gate;

  constructor(args: { name?: string; gate: Gate }) {
    super(args as object);
    this.gate = args.gate;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    return (inputShape as Shape[])[0]!;
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const [gate, up] = inputs as [Tensor, Tensor];
    return tf.tidy(() => tf.mul(GATES[this.gate](gate), up));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), gate: this.gate };
  }
}
tf.serialization.registerClass(GatedProduct);
