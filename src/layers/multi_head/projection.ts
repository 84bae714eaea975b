// SPDX-License-Identifier: Apache-2.0
/**
 * A projection into heads, or out of them, with its weights in Keras' layout:
 *
 *     into     [B, M, C] -> [B, M, H, K]         kernel [C, H, K], bias [H, K]
 *     out of   [B, M, H, V] -> [B, M, units]     kernel [H, V, units], bias [units]
 *
 * Both are one matrix product: the axes of the heads are flattened into columns, or into rows. While a
 * gradient is recorded only x and the kernel are kept: tfjs' own product with a bias, and its reshape, would hold the
 * result as well, and with it what the attention keeps in bfloat16 only.
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
    const kernel = this.kernel.read();
    const matrices: Matrices = { rows: sizeOf(from), columns: sizeOf(to), output };
    const weights = this.bias ? [kernel, this.bias.read()] : [kernel];
    return project(matrices, x, weights);
  }
}

interface Matrices {
  /** Columns of x and rows of the kernel, as matrices. */
  rows: number;
  columns: number;
  output: number[];
}

/** x, the kernel and perhaps the bias, any shapes of the right sizes -> output. */
function project({ rows, columns, output }: Matrices, x: Tensor, weights: Tensor[]): Tensor {
  const asRows = (each: Tensor) => tf.reshape(each, [-1, rows]) as tf.Tensor2D;
  const asMatrix = (each: Tensor) => tf.reshape(each, [rows, columns]) as tf.Tensor2D;
  const multiply = tf.customGrad((...given) => {
    const save = given.pop() as tf.GradSaveFunc;
    const [input, kernel, bias] = given as [Tensor, Tensor, Tensor?];
    save([input, kernel]);
    return {
      value: tf.reshape(product(asRows(input), asMatrix(kernel), bias), output),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [savedInput, savedKernel] = saved as [Tensor, Tensor];
        const dyRows = tf.reshape(dy, [-1, columns]) as tf.Tensor2D;
        const dinput = tf.matMul(dyRows, asMatrix(savedKernel), false, true);
        const dkernel = tf.matMul(asRows(savedInput), dyRows, true, false);
        return [
          tf.reshape(dinput, x.shape),
          tf.reshape(dkernel, weights[0]!.shape),
          ...weights.slice(1).map(({ shape }) => tf.reshape(tf.sum(dyRows, 0), shape)),
        ];
      },
    };
  });
  return multiply(x, ...weights);
}

function product(a: tf.Tensor2D, b: tf.Tensor2D, bias: Tensor | undefined): Tensor {
  if (!bias) return tf.matMul(a, b);
  const row = tf.reshape(bias, [b.shape[1]]);
  // tfjs' wasm kernel takes the shape of a bias from before it was reshaped, and refuses it.
  if (tf.getBackend() === 'wasm') return tf.add(tf.matMul(a, b), row);
  return tf.fused.matMul({ a, b, bias: row });
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
