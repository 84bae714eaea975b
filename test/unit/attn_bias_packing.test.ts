// SPDX-License-Identifier: Apache-2.0
/** fromTensorList and split: there and back, gradients, bfloat16, leaks. */
import { expect } from 'chai';
import * as tf from '@tensorflow/tfjs';
import { BlockDiagonalCausalMask, BlockDiagonalMask } from '../../src/attn_bias/index.js';
import { isBFloat16 } from '../../src/bf16/bfloat16_tensor.js';
import type { BFloat16Tensor } from '../../src/bf16/bfloat16_tensor.js';
import { registerBFloat16Gradients } from '../../src/gradients/bfloat16.js';
import { BFloat16Pack } from '../../src/kernel_names.js';
import { toBFloat16, toFloat32 } from '../../src/ops/bfloat16.js';
import { registerPortableBFloat16 } from '../../src/portable/bfloat16.js';
import { withoutLeak } from '../support/leaks.js';

/** A tensor of the given shape that counts up from `first`. */
function counting(shape: number[], first = 0): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => first + i),
    shape,
  );
}

const SHAPES = [
  [1, 3, 2, 4],
  [2, 2, 2, 4],
  [1, 0, 2, 4],
  [1, 1, 2, 4],
];

function tensors(): tf.Tensor[] {
  let first = 0;
  return SHAPES.map((shape) => {
    const x = counting(shape, first);
    first += x.size;
    return x;
  });
}

describe('attnBias packing', () => {
  before(async () => {
    await tf.setBackend('cpu');
    if (!tf.getKernel(BFloat16Pack, 'cpu')) registerPortableBFloat16();
    if (!tf.getGradient(BFloat16Pack)) registerBFloat16Gradients();
  });

  it('fromTensorList concatenates sequences, a batch being several', () =>
    withoutLeak(() => {
      const list = tensors();
      const [mask, packed] = BlockDiagonalMask.fromTensorList(list);
      expect(mask.qSeqlen).to.deep.equal([3, 2, 2, 0, 1]);
      expect(mask.kvSeqlen).to.deep.equal([3, 2, 2, 0, 1]);
      expect(packed.shape).to.deep.equal([1, 8, 2, 4]);
      expect(Array.from(packed.dataSync())).to.deep.equal(Array.from({ length: 64 }, (_, i) => i));
      tf.dispose([list, packed]);
    }));

  it('split gives back tensors of the shapes that were packed, and masks made of it too', () =>
    withoutLeak(() => {
      const list = tensors();
      const [mask, packed] = BlockDiagonalMask.fromTensorList(list);
      for (const each of [mask, mask.makeCausal(), mask.makeLocalAttention(2)]) {
        for (const parts of [each.split(packed), each.splitQueries(packed), each.splitKv(packed)]) {
          expect(parts.map(({ shape }) => shape)).to.deep.equal(SHAPES);
          parts.forEach((part, n) =>
            expect(Array.from(part.dataSync())).to.deep.equal(Array.from(list[n]!.dataSync())),
          );
          tf.dispose(parts);
        }
      }
      tf.dispose([list, packed]);
    }));

  it('the results outlive the inputs, and one tensor alone works', () =>
    withoutLeak(() => {
      const x = counting([1, 2, 1]);
      const [mask, packed] = BlockDiagonalMask.fromTensorList([x]);
      x.dispose();
      const [part] = mask.split(packed);
      packed.dispose();
      expect(Array.from(part!.dataSync())).to.deep.equal([0, 1]);
      part!.dispose();
    }));

  it('splitQueries and splitKv cut by their own lengths', () =>
    withoutLeak(() => {
      const mask = BlockDiagonalMask.fromSeqlens([2, 1], [1, 3]);
      const [queries, keys] = [counting([1, 3, 1]), counting([1, 4, 1])];
      const parts = [...mask.splitQueries(queries), ...mask.splitKv(keys)];
      expect(parts.map((x) => Array.from(x.dataSync()))).to.deep.equal([
        [0, 1],
        [2],
        [0],
        [1, 2, 3],
      ]);
      tf.dispose([queries, keys, parts]);
    }));

  it('a class made of the block diagonal one has the factories as well', () =>
    withoutLeak(() => {
      const x = counting([1, 2, 1]);
      const [mask, packed] = BlockDiagonalCausalMask.fromTensorList([x, x]);
      expect(mask).to.be.instanceOf(BlockDiagonalCausalMask);
      expect(mask.plan(4, 4).windowRight).to.equal(0);
      tf.dispose([x, packed]);
    }));

  it('keeps int32 and rank 2', () =>
    withoutLeak(() => {
      const list = [tf.tensor2d([[1, 2]], [1, 2], 'int32'), tf.tensor2d([[3]], [1, 1], 'int32')];
      const [mask, packed] = BlockDiagonalMask.fromTensorList(list);
      expect(packed.dtype).to.equal('int32');
      const parts = mask.split(packed);
      expect(parts.map((x) => Array.from(x.dataSync()))).to.deep.equal([[1, 2], [3]]);
      tf.dispose([list, packed, parts]);
    }));

  it('bfloat16, odd last axis: the same bits there and back', () =>
    withoutLeak(() => {
      const wide = [counting([1, 2, 3]), counting([2, 1, 3], 100)];
      const list: BFloat16Tensor[] = wide.map((x) => toBFloat16(x));
      const [mask, packed] = BlockDiagonalMask.fromTensorList(list);
      expect(isBFloat16(packed)).to.equal(true);
      expect(packed.shape).to.deep.equal([1, 4, 3]);
      const parts = mask.split(packed);
      expect(parts.map((x) => x.shape)).to.deep.equal([
        [1, 2, 3],
        [2, 1, 3],
      ]);
      parts.forEach((part, n) => {
        expect(isBFloat16(part)).to.equal(true);
        expect(Array.from(part.bitsSync())).to.deep.equal(Array.from(list[n]!.bitsSync()));
      });
      for (const x of [...list, packed, ...parts]) x.dispose();
      tf.dispose(wide);
    }));

  for (const dtype of ['float32', 'bfloat16']) {
    it(`gradients pass through pack and split, ${dtype}`, () =>
      withoutLeak(() => {
        const list = [counting([1, 2, 3]), counting([2, 1, 3], 6)];
        const weights = [counting([1, 2, 3], 1), counting([2, 1, 3], 20)];
        const gradients = tf.grads((a, b) => {
          const inputs = [a, b].map((x) => (dtype === 'bfloat16' ? toBFloat16(x) : x));
          const [mask, packed] = BlockDiagonalMask.fromTensorList(inputs);
          const terms = mask
            .split(packed)
            .map((part, n) => tf.sum(tf.mul(toFloat32(part), weights[n]!)));
          return tf.addN(terms);
        })(list);
        gradients.forEach((gradient, n) => {
          expect(gradient.shape).to.deep.equal(list[n]!.shape);
          expect(Array.from(gradient.dataSync())).to.deep.equal(Array.from(weights[n]!.dataSync()));
        });
        tf.dispose([list, weights, gradients]);
      }));
  }
});
