// SPDX-License-Identifier: Apache-2.0
/** The attnBias classes on each backend: materialize, addBias, packing and splitting. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { attnBias, isBFloat16, memoryEfficientAttention, toBFloat16 } from '../../src/index.js';
import type { FloatTensor } from '../../src/spec/dtype.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { draw } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import { maskFromDescription } from '../support/mask_description.js';
import { allowedCells } from '../support/reference_mask.js';
import { float32Result } from '../support/typed.js';

/** One case of each mask class. */
function casesByMask(): AttentionCase[] {
  const byType = new Map<string, AttentionCase>();
  for (const c of [...goldenAttentionCases, ...extraAttentionCases]) {
    if (c.attnBias && !c.rows && c.attnBias.type !== 'TensorBias') byType.set(c.attnBias.type, c);
  }
  return [...byType.values()];
}

async function readAndFree(x: FloatTensor): Promise<Float32Array> {
  const values = (await x.data()) as Float32Array;
  x.dispose();
  return values;
}

export function suite(_backend: TestBackend): void {
  describe('masks', function () {
    this.timeout(60000);

    for (const c of casesByMask()) {
      it(`${c.attnBias!.type} materializes as its definition says`, async () => {
        await withoutLeak(async () => {
          const [queries, keys] = [c.dims[1]!, c.dims[2]!];
          const matrix = tf.tidy(() => {
            const bias = tf.zeros([1, 1, queries, keys]);
            return maskFromDescription(c.attnBias!, bias)!.materialize([1, 2, queries, keys]);
          });
          expect(matrix.shape).to.deep.equal([1, 2, queries, keys]);
          const values = await readAndFree(matrix);
          const cells = allowedCells(c.attnBias, queries, keys);
          const want = Float32Array.from([...cells, ...cells], (cell) => (cell ? 0 : -Infinity));
          expectSameBits('matrix', values, want);
        });
      });
    }

    it('a materialized mask as tensor bias gives what the mask gives', async () => {
      await withoutLeak(async () => {
        const mask = new attnBias.LowerTriangularMask();
        const run = (bias: () => attnBias.AttentionBias | tf.Tensor) =>
          readAndFree(
            tf.tidy(() => {
              const x = (seed: number) => tf.tensor(draw(seed, 9 * 64), [1, 9, 2, 32]);
              return float32Result(memoryEfficientAttention(x(1), x(2), x(3), bias()));
            }),
          );
        const got = await run(() => mask.materialize([1, 1, 9, 9]));
        expectClose('output', got, await run(() => mask), { kind: 'forward', dtype: 'float32' });
      });
    });

    it('LowerTriangularMask.addBias adds a bias', async () => {
      await withoutLeak(async () => {
        const run = (makeMask: (bias: tf.Tensor) => attnBias.AttentionBias) =>
          readAndFree(
            tf.tidy(() => {
              const x = (seed: number) => tf.tensor(draw(seed, 9 * 64), [1, 9, 2, 32]);
              const bias = tf.tensor(draw(4, 2 * 81), [1, 2, 9, 9]);
              return float32Result(memoryEfficientAttention(x(1), x(2), x(3), makeMask(bias)));
            }),
          );
        const want = await run((bias) => new attnBias.LowerTriangularMaskWithTensorBias(bias));
        const got = await run((bias) => new attnBias.LowerTriangularMask().addBias(bias));
        expectSameBits('output', got, want);
      });
    });

    for (const half of [false, true]) {
      it(`packs sequences and splits them again${half ? ' · bfloat16' : ''}`, async () => {
        await withoutLeak(async () => {
          const lengths = [3, 1, 5];
          const inputs = lengths.map((length, n) => draw(n, length * 2 * 5));
          const parts = tf.tidy(() => {
            const tensors = inputs.map((values, n) => {
              const x = tf.tensor(values, [1, lengths[n]!, 2, 5]);
              return half ? toBFloat16(x) : x;
            });
            const [mask, packed] = attnBias.BlockDiagonalMask.fromTensorList(tensors);
            expect(packed.shape).to.deep.equal([1, 9, 2, 5]);
            expect(isBFloat16(packed)).to.equal(half);
            return mask.split(packed);
          });
          expect(parts.map(({ shape }) => shape[1])).to.deep.equal(lengths);
          for (const [n, part] of parts.entries()) {
            expect(isBFloat16(part)).to.equal(half);
            const rule = { kind: 'forward', dtype: half ? 'bfloat16' : 'float32' } as const;
            expectClose(`part ${n}`, await readAndFree(part), inputs[n]!, rule);
          }
        });
      });
    }

    it('packed sequences attend as each would alone', async () => {
      await withoutLeak(async () => {
        const lengths = [4, 1, 6];
        const alone: Float32Array[] = [];
        for (const [n, length] of lengths.entries()) {
          const output = tf.tidy(() => {
            const x = tf.tensor(draw(n, length * 64), [1, length, 2, 32]);
            const causal = new attnBias.LowerTriangularMask();
            return float32Result(memoryEfficientAttention(x, x, x, causal));
          });
          alone.push(await readAndFree(output));
        }
        const together = tf.tidy(() => {
          const tensors = lengths.map((length, n) =>
            tf.tensor(draw(n, length * 64), [1, length, 2, 32]),
          );
          const [blocks, x] = attnBias.BlockDiagonalMask.fromTensorList(tensors);
          const output = memoryEfficientAttention(x, x, x, blocks.makeCausal());
          return blocks.split(float32Result(output));
        });
        for (const [n, part] of together.entries()) {
          const rule = { kind: 'forward', dtype: 'float32' } as const;
          expectClose(`sequence ${n}`, await readAndFree(part), alone[n]!, rule);
        }
      });
    });
  });
}
