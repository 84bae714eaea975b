// SPDX-License-Identifier: Apache-2.0
/** The tables of a rotary embedding are made once in a layer's call where queries and keys stand at the same positions. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import { applied, disposeLayers } from '../support/layer_models.js';

/** A head dim that no other tensor of the calls ends in. */
const [M, C, H, K] = [6, 10, 2, 14];
const args = { numHeads: H, keyDim: K, valueDim: 4, causal: true, rope: true };

interface Backend {
  write(values: unknown, shape: number[], dtype: string): object;
}

/** How many cos and sin tables `run` brings to the backend. */
function tablesOf(run: () => unknown): number {
  const backend = tf.backend() as unknown as Backend;
  let count = 0;
  const write = backend.write.bind(backend);
  backend.write = (values, shape, dtype) => {
    if (values && shape.length === 4 && shape[2] === 1 && shape[3] === K) count++;
    return write(values, shape, dtype);
  };
  try {
    tf.tidy(() => void run());
  } finally {
    backend.write = write;
  }
  return count;
}

describe('tables of a rotary embedding', () => {
  let layer: layers.MultiHeadAttention;
  let x: tf.Tensor;
  /** Not one: a row of a query by itself has the shape of a table. */
  let some: tf.Tensor;

  before(async () => {
    await tf.setBackend('cpu');
    x = tf.randomNormal([1, M, C]);
    some = tf.randomNormal([1, 3, C]);
    layer = layers.multiHeadAttention(args);
    tf.tidy(() => void applied<tf.Tensor>(layer, x));
  });
  after(() => {
    disposeLayers(layer);
    tf.dispose([x, some]);
  });
  const call = (input: tf.Tensor | tf.Tensor[], kwargs = {}) =>
    tablesOf(() => layer.apply(input, kwargs));

  it('are one pair in self-attention', () => {
    expect(call(x)).to.equal(2);
    expect(call(x, { positions: [0, 1, 2, 7, 8, 9] })).to.equal(2);
    expect(call(x, { seqlens: [2, 4] })).to.equal(2);
  });

  it('are one pair in a step of generation', () => {
    const cache = layer.makeCache(1, 2 * M);
    expect(call(x, { cache })).to.equal(2);
    expect(call(some, { cache })).to.equal(2);
    cache.dispose();
  });

  it('are two pairs where queries and keys stand elsewhere', () => {
    const positions = { query: [1, 2, 3, 4, 5, 6], key: [0, 1, 2, 3, 4, 5] };
    expect(call(x, { positions })).to.equal(4);
    expect(call([some, x])).to.equal(4);
  });

  it('are one pair in qkNormAttention', () => {
    const heads = tf.randomNormal([1, M, H, K]);
    const wrapper = layers.qkNormAttention({ norm: 'rms', rope: true });
    expect(tablesOf(() => wrapper.apply([heads, heads, heads]))).to.equal(2);
    disposeLayers(wrapper);
    heads.dispose();
  });
});
