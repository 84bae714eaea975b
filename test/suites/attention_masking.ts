// SPDX-License-Identifier: Apache-2.0
/** What hidden keys, empty tensors and repetition must not change. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import {
  attnBias,
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
} from '../../src/index.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { draw } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import { referenceAttention } from '../support/reference_attention.js';
import { runAttention, runAttentionGradients } from '../support/run_attention.js';
import type { GradientName } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';
import type { SeededAttention } from '../support/seeded_attention.js';
import { float32Result } from '../support/typed.js';

function caseNamed(name: string): AttentionCase {
  const c = [...goldenAttentionCases, ...extraAttentionCases].find((each) => each.name === name);
  if (!c) throw new RangeError(`no case is named ${name}`);
  return c;
}

/** The rows of the key tensor that no query of batch item 0 may attend. */
function hiddenKeys(s: SeededAttention): number[] {
  const { queries, keys, allowed } = s.problem;
  return Array.from({ length: keys }, (_, j) => j).filter(
    (j) => !Array.from({ length: queries }, (_, i) => allowed[i * keys + j]).includes(1),
  );
}

/** The same inputs with other values in these rows of key and value; for one batch item. */
function withKeys(s: SeededAttention, rows: readonly number[], fill: number): SeededAttention {
  const filled = (values: Float32Array) => {
    const width = values.length / s.problem.keys;
    const copy = values.slice();
    for (const row of rows) copy.fill(fill, row * width, (row + 1) * width);
    return copy;
  };
  return { ...s, key: filled(s.key), value: filled(s.value) };
}

async function checkHidden(c: AttentionCase, fill: number): Promise<void> {
  const s = seedAttention(c);
  const hidden = hiddenKeys(s);
  expect(hidden, 'the case hides keys').to.not.deep.equal([]);
  const [clean, dirty] = [withKeys(s, hidden, 0), withKeys(s, hidden, fill)];
  const [want, got] = [await runAttention(c, clean), await runAttention(c, dirty)];
  expectSameBits('output', got.output, want.output);
  expectSameBits('logSumExp', got.logSumExp!, want.logSumExp!);
  const wanted = await runAttentionGradients(c, clean);
  const gradients = await runAttentionGradients(c, dirty);
  for (const name of Object.keys(wanted) as GradientName[]) {
    expectSameBits(`gradient of ${name}`, gradients[name]!, wanted[name]!);
  }
}

async function checkRerun(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const [first, second] = [await runAttention(c, s), await runAttention(c, s)];
  expectSameBits('output', second.output, first.output);
  expectSameBits('logSumExp', second.logSumExp!, first.logSumExp!);
  const [a, b] = [await runAttentionGradients(c, s), await runAttentionGradients(c, s)];
  for (const name of Object.keys(a) as GradientName[]) {
    expectSameBits(`gradient of ${name}`, b[name]!, a[name]!);
  }
}

const HIDING = [
  'causal_wide',
  'local_wide',
  'causal_br_local_wide',
  'padded_keys',
  'padded_keys_causal',
  'padded_keys_empty',
  'padded_keys_causal_local',
  'gappy_keys',
  'paged keys',
];

/** The others differ from these, or from what follows them, in the mask alone. */
const STANDING = new Set(['causal_wide', 'padded_keys_empty', 'gappy_keys', 'paged keys']);

export function suite(backend: TestBackend): void {
  describe('attention: hidden keys', function () {
    this.timeout(60000);

    for (const name of HIDING) {
      const reason = repeated(backend, STANDING.has(name));
      itUnless(reason, `NaN in keys that no query may attend changes no bit · ${name}`, () =>
        checkHidden(caseNamed(name), NaN),
      );
    }
    it('Infinity in them changes no bit either', () =>
      checkHidden(caseNamed('padded_keys'), Infinity));
    it('nor in bfloat16', () =>
      checkHidden({ ...caseNamed('padded_keys_causal'), dtype: 'bfloat16' }, NaN));
    it('nor with dropout, sink and softcap', () =>
      checkHidden({ ...caseNamed('padded_keys'), p: 0.3, sink: true, softcap: 2 }, NaN));

    it('NaN in a key reaches only the queries that may attend it', async () => {
      const c: AttentionCase = { ...caseNamed('k96'), dims: [1, 50, 50, 2, 2, 32, 32] };
      const s = seedAttention(c);
      const first = 20;
      const run = async (fill: number) => {
        const dirty = withKeys(s, [first], fill);
        const forward = await runAttention(c, dirty);
        const gradients = await runAttentionGradients(c, dirty);
        const before = (values: Float32Array) => values.slice(0, first * 2 * 32);
        return [before(forward.output), before(gradients.query!)] as const;
      };
      const [want, got] = [await run(0), await run(NaN)];
      expectSameBits('output', got[0], want[0]);
      expectSameBits('gradient of query', got[1], want[1]);
    });

    for (const low of [-1e9, -1e30, -3.4028234663852886e38]) {
      it(`a bias of ${low} for all keys hides none: the average of the values`, async () => {
        const [q, k] = [tf.ones([1, 2, 1, 4]), tf.ones([1, 2, 1, 4])];
        const v = tf.tensor([1, 2, 3, 4, 3, 4, 5, 6], [1, 2, 1, 4]);
        const bias = tf.fill([1, 2], low);
        const output = memoryEfficientAttention(q, k, v, bias);
        expect(Array.from(await output.data())).to.deep.equal([2, 3, 4, 5, 2, 3, 4, 5]);
        tf.dispose([q, k, v, bias, output]);
      });
    }

    it('NaN in a key that a bool tensor hides from all changes no bit', async () => {
      const c = caseNamed('bool B11K');
      const single: AttentionCase = { ...c, dims: [1, 10, 14, 2, 2, 32, 32] };
      const s = seedAttention(single);
      const hidden = Array.from(s.visible!.values.keys()).filter((j) => !s.visible!.values[j]);
      expect(hidden).to.not.deep.equal([]);
      const want = await runAttention(single, withKeys(s, hidden, 0));
      const got = await runAttention(single, withKeys(s, hidden, NaN));
      expectSameBits('output', got.output, want.output);
      const wanted = await runAttentionGradients(single, withKeys(s, hidden, 0));
      const gradients = await runAttentionGradients(single, withKeys(s, hidden, NaN));
      for (const name of ['query', 'key', 'value'] as const) {
        expectSameBits(`gradient of ${name}`, gradients[name]!, wanted[name]!);
      }
    });
  });

  describe('attention: reruns', function () {
    this.timeout(60000);

    for (const name of ['none_square', 'gqa_bf16', 'dropout', 'tensor_bias_broadcast', 'sink']) {
      it(`gives the same bits again, forward and backward · ${name}`, () =>
        checkRerun(caseNamed(name)));
    }

    it('draws a seed per call, and drops nothing with p 0', async () => {
      await withoutLeak(async () => {
        const run = async (options: object): Promise<Float32Array> => {
          const output = tf.tidy(() => {
            const x = (seed: number) => tf.tensor(draw(seed, 640), [1, 20, 1, 32]);
            return memoryEfficientAttention(x(1), x(2), x(3), null, options);
          });
          const values = (await output.data()) as Float32Array;
          output.dispose();
          return values;
        };
        expect(await run({ p: 0.5 })).to.not.deep.equal(await run({ p: 0.5 }));
        expectSameBits(
          'with a seed',
          await run({ p: 0.5, seed: 7 }),
          await run({ p: 0.5, seed: 7 }),
        );
        expectSameBits('p = 0', await run({ p: 0, seed: 1 }), await run({}));
      });
    });
  });

  describe('attention: empty tensors', function () {
    this.timeout(60000);

    const run = async (
      dims: readonly number[],
      mask: attnBias.LowerTriangularMask | null = null,
    ) => {
      const [b, mq, mk, h, k] = dims as [number, number, number, number, number];
      return withoutLeak(async () => {
        const tensors = tf.tidy(() => {
          const xs = [tf.ones([b, mq, h, k]), tf.ones([b, mk, h, k]), tf.ones([b, mk, h, k])];
          const f = (q: tf.Tensor, key: tf.Tensor, v: tf.Tensor) =>
            float32Result(memoryEfficientAttention(q, key, v, mask));
          const dy = tf.ones([b, mq, h, k]);
          const { output, logSumExp } = memoryEfficientAttentionForward(
            xs[0]!,
            xs[1]!,
            xs[2]!,
            mask,
          );
          return [output, logSumExp, ...tf.grads(f)(xs, dy)];
        });
        const values = await Promise.all(tensors.map((x) => x.data()));
        const shapes = tensors.map((x) => x.shape);
        tf.dispose(tensors);
        return { shapes, values: values.map((each) => Array.from(each as Float32Array)) };
      });
    };

    it('takes an empty batch', async () => {
      const { shapes } = await run([0, 5, 7, 2, 32]);
      expect(shapes).to.deep.equal([
        [0, 5, 2, 32],
        [0, 2, 5],
        [0, 5, 2, 32],
        [0, 7, 2, 32],
        [0, 7, 2, 32],
      ]);
    });

    it('takes no queries, and gives zero gradients of keys and values', async () => {
      const { shapes, values } = await run([2, 0, 7, 2, 32]);
      expect(shapes.slice(0, 2)).to.deep.equal([
        [2, 0, 2, 32],
        [2, 2, 0],
      ]);
      expect(values[3]).to.deep.equal(new Array(2 * 7 * 2 * 32).fill(0));
      expect(values[4]).to.deep.equal(new Array(2 * 7 * 2 * 32).fill(0));
    });

    for (const mask of [null, new attnBias.LowerTriangularMask()]) {
      it(`takes no keys, and gives 0 and -Infinity${mask ? ' · causal' : ''}`, async () => {
        const { values } = await run([1, 4, 0, 2, 32], mask);
        expect(values[0]).to.deep.equal(new Array(4 * 2 * 32).fill(0));
        expect(values[1]).to.deep.equal(new Array(2 * 4).fill(-Infinity));
        expect(values[2]!.every((x) => x === 0)).to.equal(true);
      });
    }

    it('takes packed sequences of no queries and of no keys', async () => {
      const c: AttentionCase = {
        ...caseNamed('blockdiag'),
        dims: [1, 6, 8, 2, 2, 32, 32],
        attnBias: { type: 'BlockDiagonalMask', qSeqlen: [0, 3, 2, 1], kvSeqlen: [2, 0, 6, 0] },
      };
      const s = seedAttention(c);
      const run = await runAttention(c, s);
      const want = referenceAttention(s.problem);
      expectClose('output', run.output, want.output, { kind: 'forward', dtype: 'float32' });
      expectClose('logSumExp', run.logSumExp!, want.logSumExp, {
        kind: 'forward',
        dtype: 'float32',
      });
    });
  });
}
