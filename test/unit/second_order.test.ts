// SPDX-License-Identifier: Apache-2.0
/** A gradient of a gradient is refused by the name of the op; the first one is not. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect } from 'chai';
import { fusedLayerNorm, memoryEfficientAttention } from '../../src/index.js';

type Scalar = (x: tf.Tensor) => tf.Scalar;

const cases: readonly [name: string, words: RegExp, shape: number[], f: Scalar][] = [
  [
    'fusedLayerNorm',
    /fused norms: the order of a gradient must be 1/,
    [2, 8],
    (x) => tf.sum(tf.square(fusedLayerNorm(x))),
  ],
  [
    'memoryEfficientAttention',
    /memoryEfficientAttention: the order of a gradient must be 1/,
    [1, 3, 1, 4],
    (x) => tf.sum(tf.square(memoryEfficientAttention(x, x, x))),
  ],
];

describe('second-order gradients', () => {
  before(() => tf.setBackend('cpu'));

  for (const [name, words, shape, f] of cases) {
    it(`${name}: refused in words of its own`, () => {
      tf.tidy(() => {
        const x = tf.randomNormal(shape);
        const first = tf.grad(f);
        expect(first(x).shape).to.deep.equal(shape);
        expect(() => tf.grad((value) => tf.sum(first(value)))(x)).to.throw(RangeError, words);
      });
    });
  }
});
