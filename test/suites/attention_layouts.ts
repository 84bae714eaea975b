// SPDX-License-Identifier: Apache-2.0
/**
 * The layouts of attention's operands: [B, H, M, K], and query, key and value packed into one tensor, against
 * golden values and the float64 reference.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import {
  attnBias,
  memoryEfficientAttentionPacked,
  toBFloat16,
  toFloat32,
  whyNotFused,
} from '../../src/index.js';
import type { FloatTensor } from '../../src/index.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { drawTensor } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import {
  checkForward,
  checkGoldenForward,
  checkGoldenGradients,
  checkGradients,
  title,
} from './attention.js';

const GOLDEN: Record<'BHMK' | 'packed', readonly string[]> = {
  BHMK: [
    'gqa',
    'odd_dims_bf16',
    'k_ne_kv',
    'blockdiag_causal_br',
    'padded_keys_causal',
    'tensor_bias',
  ],
  packed: ['none_square', 'causal_k64_bf16', 'blockdiag_causal', 'causal_tensor_bias'],
};

const EXTRA: Record<'BHMK' | 'packed', readonly string[]> = {
  BHMK: [
    'logSumExp has a gradient: sink, softcap, dropout, bias',
    'paged keys, causal, a page shared by two sequences',
    'bfloat16 out of float32',
  ],
  packed: ['sink, grouped heads, causal', 'dropout, packed sequences'],
};

/** One of each kind of mask and dtype in each layout; suites/attention.ts has them all in the usual one. */
const STANDING = new Set([
  'gqa',
  'odd_dims_bf16',
  'logSumExp has a gradient: sink, softcap, dropout, bias',
  'causal_k64_bf16',
  'causal_tensor_bias',
  'dropout, packed sequences',
]);

function casesOf(
  all: readonly AttentionCase[],
  names: readonly string[],
  layout: 'BHMK' | 'packed',
): AttentionCase[] {
  return names.map((name) => {
    const found = all.find((c) => c.name === name);
    if (!found) throw new Error(`no case is named ${name}`);
    return { ...found, layout };
  });
}

const [B, M, H, K] = [2, 7, 3, 32];

/** The bits of what packed attention makes of qkv in one of its forms, and of its gradient. */
function inForm(shape: number[], half: boolean): Promise<Float32Array[]> {
  return withoutLeak(async () => {
    const results = tf.tidy(() => {
      const qkv = tf.tensor(drawTensor(41, [B, M, 3 * H * K]), shape);
      const attend = (x: tf.Tensor): FloatTensor =>
        memoryEfficientAttentionPacked(half ? toBFloat16(x) : x, null, { numHeads: H });
      const output = attend(qkv);
      expect(output.shape).to.deep.equal(shape.length === 3 ? [B, M, H * K] : [B, M, H, K]);
      expect(output.dtype).to.equal(half ? 'bfloat16' : 'float32');
      const doutput = tf.tensor(drawTensor(42, [B, M, H * K]), output.shape);
      const gradient = tf.grad((x) => toFloat32(attend(x)))(qkv, doutput);
      expect(gradient.shape).to.deep.equal(shape);
      return [toFloat32(output), gradient];
    });
    const values = await Promise.all(results.map((x) => x.data() as Promise<Float32Array>));
    tf.dispose(results);
    return values;
  });
}

export function suite(backend: TestBackend): void {
  describe('layouts of attention', function () {
    this.timeout(120000);

    const reasonOf = ({ name }: AttentionCase) => repeated(backend, STANDING.has(name));
    for (const layout of ['BHMK', 'packed'] as const) {
      for (const c of casesOf(goldenAttentionCases, GOLDEN[layout], layout)) {
        itUnless(reasonOf(c), `${layout} · golden · ${title(c)}`, async () => {
          await checkGoldenForward(backend, c);
          await checkGoldenGradients(backend, c);
        });
      }
      for (const c of casesOf(extraAttentionCases, EXTRA[layout], layout)) {
        itUnless(reasonOf(c), `${layout} · ${title(c)}`, async () => {
          await checkForward(c);
          await checkGradients(c);
        });
      }
    }

    for (const half of [false, true]) {
      it(`packed: three forms, one result · ${half ? 'bfloat16' : 'float32'}`, async () => {
        const rank3 = await inForm([B, M, 3 * H * K], half);
        const rank4 = await inForm([B, M, 3 * H, K], half);
        const rank5 = await inForm([B, M, 3, H, K], half);
        for (const n of [0, 1]) {
          expectSameBits('rank 4', rank4[n]!, rank3[n]!);
          expectSameBits('rank 5', rank5[n]!, rank3[n]!);
        }
      });
    }

    it('packed: no tokens and no batch give tensors of that shape', async () => {
      await withoutLeak(() => {
        for (const [batch, length] of [
          [0, 4],
          [2, 0],
        ] as const) {
          tf.tidy(() => {
            const qkv = tf.zeros([batch, length, 3 * H * K]);
            const attend = (x: tf.Tensor) =>
              memoryEfficientAttentionPacked(x, null, { numHeads: H }) as tf.Tensor;
            expect(attend(qkv).shape).to.deep.equal([batch, length, H * K]);
            const doutput = tf.zeros([batch, length, H * K]);
            expect(tf.grad(attend)(qkv, doutput).shape).to.deep.equal(qkv.shape);
          });
        }
      });
    });

    it('packed: whyNotFused answers as for three tensors', () => {
      tf.tidy(() => {
        const causal = new attnBias.LowerTriangularMask();
        const [q, qkv] = [tf.zeros([1, 4, 2, K]), tf.zeros([1, 4, 6 * K])];
        const op = 'memoryEfficientAttention';
        const packed = whyNotFused(`${op}Packed`, [qkv], causal, { numHeads: 2 });
        expect(packed).to.deep.equal(whyNotFused(op, [q, q, q], causal));
      });
    });
  });
}
