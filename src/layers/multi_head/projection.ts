// SPDX-License-Identifier: Apache-2.0
/**
 * A projection into heads, or out of them, with its weights in Keras' layout:
 *
 *     into     [B, M, C] -> [B, M, H, K]         kernel [C, H, K], bias [H, K]
 *     out of   [B, M, H, V] -> [B, M, units]     kernel [H, V, units], bias [units]
 *
 * Both are one matrix product: the axes of the heads are flattened into columns, or into rows.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayerVariable } from '@tensorflow/tfjs-layers';
import type { Initializer } from '../../layers/identifiers.js';
import type { WeightRules } from '../../layers/normalization.js';

/** layer.addWeight with the rules of a weight, of the layer whose weights a projection makes. */
export type MakeWeight = (name: string, shape: number[], rules: WeightRules) => LayerVariable;

/** The two sides of a kernel: axes that are summed over, and axes of the result. */
export interface ProjectionShape {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export class Projection {
  private readonly kernel: LayerVariable;
  private readonly bias: LayerVariable | null;

  constructor(
    scope: string,
    private readonly shape: ProjectionShape,
    rules: { kernel: WeightRules; bias: WeightRules | null },
    makeWeight: MakeWeight,
  ) {
    const { from, to } = shape;
    const { initializer, ...held } = rules.kernel;
    const asMatrix = matrixInitializer(initializer, [sizeOf(from), sizeOf(to)]);
    const kernelRules = { ...held, initializer: asMatrix };
    this.kernel = makeWeight(`${scope}/kernel`, [...from, ...to], kernelRules);
    this.bias = rules.bias ? makeWeight(`${scope}/bias`, [...to], rules.bias) : null;
  }

  /** x [B, M, ...from] -> [B, M, ...to]. */
  apply(x: Tensor): Tensor {
    const { from, to } = this.shape;
    const lead = x.shape.slice(0, x.rank - from.length);
    const output = [...lead, ...to];
    if (sizeOf(lead) === 0) return tf.zeros(output);
    const [rows, columns] = [sizeOf(from), sizeOf(to)];
    const a = tf.reshape(x, [-1, rows]) as tf.Tensor2D;
    const b = tf.reshape(this.kernel.read(), [rows, columns]) as tf.Tensor2D;
    const bias = this.bias && tf.reshape(this.bias.read(), [columns]);
    // tfjs' wasm kernel takes the shape of a bias from before it was reshaped, and refuses it.
    if (bias && tf.getBackend() === 'wasm')
      return tf.reshape(tf.add(tf.matMul(a, b), bias), output);
    return tf.reshape(tf.fused.matMul({ a, b, ...(bias && { bias }) }), output);
  }
}

/**
 * An initializer that sees the kernel as the matrix that it is. Of the shape [C, H, K] one would take
 * C for the area of a convolution and draw values far too small; Keras does.
 */
function matrixInitializer(initializer: Initializer, matrix: number[]): Initializer {
  const wrapper = Object.create(initializer) as Initializer;
  wrapper.apply = (shape, dtype) =>
    tf.tidy(() => tf.reshape(initializer.apply(matrix, dtype), shape as number[]));
  return wrapper;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
