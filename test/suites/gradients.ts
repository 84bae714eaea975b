// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients against central differences of the op itself, along random directions. The loss is
 * summed in float64 from values that are read, so that only the op's own rounding is in it.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  fusedAddLayerNorm,
  fusedAddRMSNorm,
  fusedLayerNorm,
  fusedRMSNorm,
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  mergeAttentions,
} from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { draw } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import { float32Result } from '../support/typed.js';

type Op = (...inputs: tf.Tensor[]) => tf.Tensor[];

const STEP = 2e-2;

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** sum of outputs times weights, the weights drawn for each output. */
async function loss(op: Op, inputs: Float32Array[], shapes: number[][]): Promise<number> {
  const outputs = tf.tidy(() => op(...inputs.map((values, n) => tf.tensor(values, shapes[n]))));
  let total = 0;
  for (const [n, output] of outputs.entries()) {
    total += dot(await output.data(), draw(900 + n, output.size));
    output.dispose();
  }
  return total;
}

async function gradientsOf(
  op: Op,
  inputs: Float32Array[],
  shapes: number[][],
): Promise<Float32Array[]> {
  const gradients = tf.tidy(() => {
    const f = (...xs: tf.Tensor[]): tf.Tensor =>
      op(...xs)
        .map((y, n) => tf.sum(tf.mul(y, tf.tensor(draw(900 + n, y.size), y.shape))))
        .reduce((sum, term) => tf.add(sum, term));
    return tf.grads(f)(inputs.map((values, n) => tf.tensor(values, shapes[n])));
  });
  const values: Float32Array[] = [];
  for (const gradient of gradients) {
    values.push((await gradient.data()) as Float32Array);
    gradient.dispose();
  }
  return values;
}

/** The derivative of the loss along a random direction of each input, by both ways. */
async function checkDirections(op: Op, shapes: number[][]): Promise<void> {
  await withoutLeak(async () => {
    const inputs = shapes.map((shape, n) => draw(700 + n, sizeOf(shape)));
    const gradients = await gradientsOf(op, inputs, shapes);
    for (const [n, gradient] of gradients.entries()) {
      const direction = draw(800 + n, gradient.length);
      const along = (step: number): Promise<number> => {
        const moved = inputs.slice();
        moved[n] = inputs[n]!.map((x, i) => x + step * direction[i]!);
        return loss(op, moved, shapes);
      };
      const measured = ((await along(STEP)) - (await along(-STEP))) / (2 * STEP);
      const got = dot(gradient, direction);
      // The truncation error grows with the size of the gradient and the step's square.
      const allowed =
        0.02 * Math.max(Math.sqrt(dot(gradient, gradient)), Math.abs(measured)) + 2e-3;
      if (!(Math.abs(got - measured) <= allowed)) {
        throw new Error(`input ${n}: the gradient gives ${got}, differences give ${measured}`);
      }
    }
  });
}

const Q = [1, 5, 2, 32];
const KV = [1, 6, 2, 32];
const BIAS = [1, 2, 5, 6];

const attention: [string, Op, number[][]][] = [
  [
    'query, key and value',
    (q, k, v) => [float32Result(memoryEfficientAttention(q!, k!, v!))],
    [Q, KV, KV],
  ],
  [
    'and a bias',
    (q, k, v, bias) => [float32Result(memoryEfficientAttention(q!, k!, v!, bias!))],
    [Q, KV, KV, BIAS],
  ],
  [
    'and a broadcast bias',
    (q, k, v, bias) => [float32Result(memoryEfficientAttention(q!, k!, v!, bias!))],
    [Q, KV, KV, [1, 1, 1, 6]],
  ],
  [
    'and a sink',
    (q, k, v, sink) => [float32Result(memoryEfficientAttention(q!, k!, v!, null, { sink: sink! }))],
    [Q, KV, KV, [2]],
  ],
  [
    'with softcap',
    (q, k, v) => [float32Result(memoryEfficientAttention(q!, k!, v!, null, { softcap: 1 }))],
    [Q, KV, KV],
  ],
  [
    'with dropout',
    (q, k, v) => [float32Result(memoryEfficientAttention(q!, k!, v!, null, { p: 0.4, seed: 5 }))],
    [Q, KV, KV],
  ],
  [
    'through logSumExp alone',
    (q, k) => [memoryEfficientAttentionForward(q!, k!, k!).logSumExp],
    [Q, KV],
  ],
  [
    'of everything, through output and logSumExp',
    (q, k, v, bias, sink) => {
      const options = { sink: sink!, softcap: 2, p: 0.3, seed: 9 };
      const { output, logSumExp } = memoryEfficientAttentionForward(q!, k!, v!, bias!, options);
      return [float32Result(output), logSumExp];
    },
    [Q, KV, KV, BIAS, [2]],
  ],
  [
    'of a bias whose query, key and value are constants',
    (bias) => {
      const x = (seed: number, shape: number[]) => tf.tensor(draw(seed, sizeOf(shape)), shape);
      return [float32Result(memoryEfficientAttention(x(1, Q), x(2, KV), x(3, KV), bias!))];
    },
    [BIAS],
  ],
  [
    'of a sink alone',
    (sink) => {
      const x = (seed: number, shape: number[]) => tf.tensor(draw(seed, sizeOf(shape)), shape);
      return [
        float32Result(memoryEfficientAttention(x(1, Q), x(2, KV), x(3, KV), null, { sink: sink! })),
      ];
    },
    [[2]],
  ],
  [
    'where one tensor is query, key and value',
    (x) => [float32Result(memoryEfficientAttention(x!, x!, x!))],
    [[1, 5, 2, 32]],
  ],
];

const X = [3, 24];
const C = [24];
const norms: [string, Op, number[][]][] = [
  ['fusedLayerNorm', (x, g, b) => [fusedLayerNorm(x!, g!, b!)], [X, C, C]],
  ['fusedRMSNorm', (x, g) => [fusedRMSNorm(x!, g!, { weightOffset: 1 })], [X, C]],
  [
    'fusedAddLayerNorm, through both results',
    (x, r, g, b) => {
      const { output, residual } = fusedAddLayerNorm(x!, r!, g!, b!);
      return [float32Result(output), residual];
    },
    [X, X, C, C],
  ],
  [
    'fusedAddRMSNorm, through both results',
    (x, r, g) => {
      const { output, residual } = fusedAddRMSNorm(x!, r!, g!);
      return [float32Result(output), residual];
    },
    [X, X, C],
  ],
];

const merge: Op = (a, b, c, d) => {
  const { output, logSumExp } = mergeAttentions([a!, b!], [c!, d!]);
  return [float32Result(output), logSumExp];
};

export function suite(_backend: TestBackend): void {
  describe('gradients against finite differences', function () {
    this.timeout(60000);

    for (const [name, op, shapes] of norms) it(name, () => checkDirections(op, shapes));
    for (const [name, op, shapes] of attention) {
      it(`attention: ${name}`, () => checkDirections(op, shapes));
    }
    it('mergeAttentions', () =>
      checkDirections(merge, [
        [1, 4, 2, 8],
        [1, 4, 2, 8],
        [1, 2, 4],
        [1, 2, 4],
      ]));
  });
}
