// SPDX-License-Identifier: Apache-2.0
/** One op at one length: its inputs, how this package and how plain tfjs compute it, and how wrong a result is. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

import { attnBias, fusedLayerNorm, memoryEfficientAttention } from '../../../src/index.js';
import { attentionError, normError } from '../../quickstart/exact.js';
import { causalMask, layerNorm, plainAttention } from '../../quickstart/plain.js';
import { Random } from '../../shared/random.js';
import type { OpName, Sizes } from './sizes.js';

export type Side = 'fused' | 'plain';

type Compute = (...inputs: Tensor[]) => Tensor;

export interface OpCase {
  inputs: Tensor[];
  /** What a side needs beside the inputs is made at the call, and freed by `dispose`. */
  prepare(side: Side): { compute: Compute; dispose: () => void };
  /** The greatest difference from float64, over some rows of an output. */
  errorOf(output: Tensor): Promise<number>;
}

/** Numbers of variance 1, quickly drawn: some inputs have millions of them. */
function draw(shape: number[], seed: number): Tensor {
  const random = new Random(seed);
  const width = Math.sqrt(12);
  const size = tf.util.sizeFromShape(shape);
  const values = Float32Array.from({ length: size }, () => width * (random.next() - 0.5));
  return tf.tensor(values, shape);
}

const nothing = (): void => undefined;

function attentionCase(length: number, { heads, headDim }: Sizes): OpCase {
  const inputs = [1, 2, 3].map((seed) => draw([1, length, heads, headDim], seed));
  return {
    inputs,
    prepare(side) {
      if (side === 'fused') {
        const causal = new attnBias.LowerTriangularMask();
        const compute: Compute = (q, k, v) =>
          memoryEfficientAttention(q!, k!, v!, causal) as Tensor;
        return { compute, dispose: nothing };
      }
      const mask = causalMask(length);
      return {
        compute: (q, k, v) => plainAttention(q!, k!, v!, mask),
        dispose: () => mask.dispose(),
      };
    },
    errorOf: (output) => attentionError(output, inputs),
  };
}

function normCase(length: number, { channels }: Sizes): OpCase {
  const shapes = [[length, channels], [channels], [channels]];
  const inputs = shapes.map((shape, index) => draw(shape, index + 1));
  return {
    inputs,
    prepare: (side) => ({
      compute:
        side === 'fused'
          ? (x, gamma, beta) => fusedLayerNorm(x!, gamma, beta)
          : (x, gamma, beta) => layerNorm(x!, gamma!, beta!),
      dispose: nothing,
    }),
    errorOf: (output) => normError(output, inputs),
  };
}

export function makeCase(op: OpName, length: number, sizes: Sizes): OpCase {
  return op === 'attention' ? attentionCase(length, sizes) : normCase(length, sizes);
}

/** Bytes of the largest single tensor that a side makes. */
export function largestTensor(op: OpName, side: Side, length: number, sizes: Sizes): number {
  const { heads, headDim, channels } = sizes;
  if (op === 'norm') return 4 * length * channels;
  return 4 * length * heads * (side === 'plain' ? length : headDim);
}
