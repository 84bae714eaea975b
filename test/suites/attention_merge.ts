// SPDX-License-Identifier: Apache-2.0
/** mergeAttentions: attention over parts of the keys gives attention over all of them. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import type { FloatTensor } from '../../src/spec/dtype.js';
import { memoryEfficientAttentionForward, mergeAttentions } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { draw } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import { float32Result } from '../support/typed.js';

const FORWARD = { kind: 'forward', dtype: 'float32' } as const;
const GRADIENT = { kind: 'gradient', dtype: 'float32' } as const;

type Results = Record<string, Float32Array>;

/** Runs `make` in a tidy and reads the tensors that it returns; throws if one leaks. */
function read(make: () => Record<string, FloatTensor>): Promise<Results> {
  return withoutLeak(async () => {
    const tensors = tf.tidy(make) as Record<string, FloatTensor>;
    const results: Results = {};
    for (const [name, tensor] of Object.entries(tensors)) {
      results[name] = (await tensor.data()) as Float32Array;
      tensor.dispose();
    }
    return results;
  });
}

function randomTensor(seed: number, shape: number[]): tf.Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return tf.tensor(draw(seed, size), shape);
}

/** Attention over each part of the keys, cut at these rows, merged. */
function inParts(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, sizes: number[]) {
  const axis = 1;
  const keys = tf.split(k, sizes, axis);
  const values = tf.split(v, sizes, axis);
  const parts = keys.map((key, n) => memoryEfficientAttentionForward(q, key, values[n]!));
  return mergeAttentions(
    parts.map(({ output }) => output),
    parts.map(({ logSumExp }) => logSumExp),
  );
}

export function suite(_backend: TestBackend): void {
  describe('mergeAttentions', function () {
    this.timeout(60000);

    for (const [shape, rank] of [
      [[2, 9, 3, 32], 4],
      [[2, 9, 32], 3],
    ] as [number[], number][]) {
      it(`gives the whole from parts of the keys · rank ${rank}`, async () => {
        const keyShape = [shape[0]!, 21, ...shape.slice(2)];
        const inputs = () =>
          [randomTensor(1, shape), randomTensor(2, keyShape), randomTensor(3, keyShape)] as const;
        const merged = await read(() => ({ ...inParts(...inputs(), [4, 16, 1]) }));
        const whole = await read(() => {
          const { output, logSumExp } = memoryEfficientAttentionForward(...inputs());
          return { output, logSumExp };
        });
        expectClose('output', merged.output!, whole.output!, FORWARD);
        expectClose('logSumExp', merged.logSumExp!, whole.logSumExp!, FORWARD);
      });
    }

    it('has the gradients of the whole', async () => {
      const gradients = (merge: boolean) =>
        read(() => {
          const inputs = [
            randomTensor(4, [1, 7, 2, 32]),
            randomTensor(5, [1, 13, 2, 32]),
            randomTensor(6, [1, 13, 2, 32]),
          ];
          const dout = randomTensor(7, [1, 7, 2, 32]);
          const dlse = randomTensor(8, [1, 2, 7]);
          const f = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor => {
            const { output, logSumExp } = merge
              ? inParts(q, k, v, [6, 7])
              : memoryEfficientAttentionForward(q, k, v);
            return tf.add(
              tf.sum(tf.mul(float32Result(output), dout)),
              tf.sum(tf.mul(logSumExp, dlse)),
            );
          };
          const [query, key, value] = tf.grads(f)(inputs);
          return { query: query!, key: key!, value: value! };
        });
      const [got, want] = [await gradients(true), await gradients(false)];
      for (const name of ['query', 'key', 'value']) {
        expectClose(`gradient of ${name}`, got[name]!, want[name]!, GRADIENT);
      }
    });

    it('adds log 2 to logSumExp where a part is merged with itself', async () => {
      const output = draw(9, 2 * 5 * 2 * 4);
      const logSumExp = draw(10, 2 * 2 * 5);
      const merged = await read(() => {
        const part = tf.tensor(output, [2, 5, 2, 4]);
        const lse = tf.tensor(logSumExp, [2, 2, 5]);
        return { ...mergeAttentions([part, part], [lse, lse]) };
      });
      expectClose('output', merged.output!, output, FORWARD);
      const want = logSumExp.map((x) => x + Math.LN2);
      expectClose('logSumExp', merged.logSumExp!, want, FORWARD);
    });

    it('returns a single part as it is', async () => {
      const output = draw(9, 20);
      const logSumExp = draw(10, 5);
      const merged = await read(() => ({
        ...mergeAttentions([tf.tensor(output, [1, 5, 1, 4])], [tf.tensor(logSumExp, [1, 1, 5])]),
      }));
      expectClose('output', merged.output!, output, FORWARD);
      expectClose('logSumExp', merged.logSumExp!, logSumExp, FORWARD);
    });

    it('leaves out the parts of a row that see nothing; 0 and -Infinity where none does', async () => {
      const none = -Infinity;
      const merged = await read(() => {
        const outputs = [
          tf.tensor([1, 1, 0, 0, 3, 3], [1, 3, 1, 2]),
          tf.tensor([0, 0, 0, 0, 5, 5], [1, 3, 1, 2]),
        ];
        const lses = [tf.tensor([2, none, 1], [1, 1, 3]), tf.tensor([none, none, 1], [1, 1, 3])];
        const f = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) =>
          float32Result(mergeAttentions([a, b], [c, d]).output);
        const grads = tf.grads(f)([...outputs, ...lses], tf.ones([1, 3, 1, 2]));
        const named = Object.fromEntries(grads.map((x, n) => [`gradient ${n}`, x]));
        return { ...mergeAttentions(outputs, lses), ...named };
      });
      expectClose('output', merged.output!, [1, 1, 0, 0, 4, 4], FORWARD);
      expectClose('logSumExp', merged.logSumExp!, [2, none, 1 + Math.LN2], FORWARD);
      expectClose('gradient 0', merged['gradient 0']!, [1, 1, 0, 0, 0.5, 0.5], GRADIENT);
      expectClose('gradient 1', merged['gradient 1']!, [0, 0, 0, 0, 0.5, 0.5], GRADIENT);
      expectClose('gradient 2', merged['gradient 2']!, [0, 0, -1], GRADIENT);
      expectClose('gradient 3', merged['gradient 3']!, [0, 0, 1], GRADIENT);
    });

    it('survives logSumExps of 1e4', async () => {
      const merged = await read(() => ({
        ...mergeAttentions(
          [tf.tensor([1, 2], [1, 1, 1, 2]), tf.tensor([3, 4], [1, 1, 1, 2])],
          [tf.tensor([10000], [1, 1, 1]), tf.tensor([-10000], [1, 1, 1])],
        ),
      }));
      expect(Array.from(merged.output!)).to.deep.equal([1, 2]);
      expect(Array.from(merged.logSumExp!)).to.deep.equal([10000]);
    });
  });
}
