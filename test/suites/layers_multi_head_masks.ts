// SPDX-License-Identifier: Apache-2.0
/** layers.multiHeadAttention: padding, explicit masks, packed sequences and positions, alone and together. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { drawTensor } from '../support/draw.js';
import { applied, disposeLayers, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { H, K, builtLayer, drawn, reference, tensorsOf } from '../support/multi_head_cases.js';

const FORWARD = { kind: 'forward', dtype: 'float32', unit: 'largest' } as const;
const [B, M, N, C] = [2, 5, 7, 12];
const x = drawn(1300, [B, M, C]);
const value = drawn(1301, [B, N, C]);
const SIZES = { numHeads: H, keyDim: K };
const causal = (i: number, j: number) => j <= i;

/** Whether step m of item b is real. */
const realSteps = [
  [1, 1, 0, 1, 1],
  [1, 0, 1, 0, 0],
];
const realKeys = [
  [1, 1, 0, 1, 1, 0, 1],
  [0, 1, 1, 1, 0, 0, 0],
];

/** Outputs of steps that are padding are those of no attention: the reference's of queries without keys. */
const ofReal = (i: number, b: number) => realSteps[b]![i] === 1;

export function suite(backend: TestBackend): void {
  describe('multi-head attention layer, masks', function () {
    this.timeout(180000);

    for (const isCausal of [false, true]) {
      it(`the mask of self-attention hides keys and queries${isCausal ? ', causal' : ''}`, () =>
        withoutLeak(async () => {
          const { layer, weights } = builtLayer({ ...SIZES, causal: isCausal }, x);
          const [tensor, mask] = [...tensorsOf(x), tf.tensor2d(realSteps, [B, M], 'bool')];
          const want = reference(layer, weights, [x], {
            mayAttend: (b, i, j) => ofReal(i, b) && ofReal(j, b) && (!isCausal || causal(i, j)),
          });
          for (const given of [mask, [mask]]) {
            const got = await valuesOf(() => applied<tf.Tensor>(layer, tensor!, { mask: given }));
            expectClose('output', got, want, FORWARD);
          }
          tf.dispose([tensor!, mask!]);
          disposeLayers(layer);
        }));
    }

    it('takes a mask for each input', () =>
      withoutLeak(async () => {
        const { layer, weights } = builtLayer(SIZES, x, value, value);
        const [query, values, keys] = tensorsOf(x, value, value);
        const queryMask = tf.tensor2d(realSteps, [B, M], 'bool');
        const valueMask = tf.tensor2d(realKeys, [B, N], 'int32');
        const keyMask = tf.tensor2d([...realKeys].reverse(), [B, N], 'bool');
        const mask = [queryMask, valueMask, keyMask];
        const got = await valuesOf(() =>
          applied<tf.Tensor>(layer, [query!, values!, keys!], { mask }),
        );
        const want = reference(layer, weights, [x, value, value], {
          mayAttend: (b, i, j) =>
            ofReal(i, b) && realKeys[b]![j] === 1 && realKeys[1 - b]![j] === 1,
        });
        expectClose('output', got, want, FORWARD);
        tf.dispose([query!, values!, keys!, ...mask]);
        disposeLayers(layer);
      }));

    const masks: [title: string, shape: number[], head: (h: number) => number][] = [
      ['[Mq, Mk]', [M, N], () => 0],
      ['[B, Mq, Mk]', [B, M, N], () => 0],
      ['[B, H, Mq, Mk]', [B, H, M, N], (h) => h],
    ];
    for (const [title, shape, headOf] of masks) {
      it(`takes an attention mask ${title}, together with padding`, () =>
        withoutLeak(async () => {
          const bits = drawTensor(1310, shape).map((v) => (v > -0.3 ? 1 : 0));
          const { layer, weights } = builtLayer(SIZES, x, value);
          const tensors = tensorsOf(x, value);
          const attentionMask = tf.tensor(bits, shape, shape.length === 2 ? 'bool' : 'float32');
          const valueMask = tf.tensor2d(realKeys, [B, N], 'bool');
          const run = (mask: unknown) =>
            valuesOf(() => applied<tf.Tensor>(layer, tensors, { attentionMask, mask }));
          const bit = (b: number, i: number, j: number, h: number) => {
            const item = shape.length === 2 ? 0 : b;
            const heads = shape.length === 4 ? H : 1;
            return bits[((item * heads + headOf(h)) * M + i) * N + j] === 1;
          };
          const alone = reference(layer, weights, [x, value], { mayAttend: bit });
          expectClose('output', await run(null), alone, FORWARD);
          const both = reference(layer, weights, [x, value], {
            mayAttend: (b, i, j, h) => bit(b, i, j, h) && realKeys[b]![j] === 1,
          });
          expectClose('output', await run([null, valueMask]), both, FORWARD);
          tf.dispose([...tensors, attentionMask, valueMask]);
          disposeLayers(layer);
        }));
    }

    it('an attention mask and a causal window act together', () =>
      withoutLeak(async () => {
        const { layer, weights } = builtLayer({ ...SIZES, causal: true, windowSize: 3 }, x);
        const bits = drawTensor(1311, [M, M]).map((v) => (v > -0.5 ? 1 : 0));
        const [tensor, attentionMask] = [...tensorsOf(x), tf.tensor(bits, [M, M], 'int32')];
        const got = await valuesOf(() => applied<tf.Tensor>(layer, tensor!, { attentionMask }));
        const want = reference(layer, weights, [x], {
          mayAttend: (_b, i, j) => causal(i, j) && j > i - 3 && bits[i * M + j] === 1,
        });
        expectClose('output', got, want, FORWARD);
        tf.dispose([tensor!, attentionMask!]);
        disposeLayers(layer);
      }));

    it('does not attend the padding of embedding({maskZero: true}), in a model and in one inside it', () =>
      withoutLeak(async () => {
        const layer = layers.multiHeadAttention({ ...SIZES, causal: true });
        const inner = tfl.input({ shape: [M, 8] });
        const nested = tfl.model({ inputs: inner, outputs: applied(layer, inner) });
        const tokens = tfl.input({ shape: [M] });
        const embedding = tfl.layers.embedding({ inputDim: 10, outputDim: 8, maskZero: true });
        const embedded = applied(embedding, tokens);
        const outputs = [
          applied(layers.multiHeadAttention(SIZES), embedded),
          applied(nested, embedded),
        ];
        const model = tfl.model({ inputs: tokens, outputs });
        const ids = tf.tensor2d([...[3, 1, 0, 1, 5], ...[7, 0, 8, 0, 0]], [B, M]);
        const real = [0, 1, 3, 4, 5, 7];
        const rows = async () => {
          const parts = tf.tidy(() =>
            (model.predict(ids) as tf.Tensor[]).map((y) =>
              tf.gather(tf.reshape(y, [B * M, 8]), real),
            ),
          );
          const values = await Promise.all(parts.map((part) => part.data()));
          tf.dispose(parts);
          return values as Float32Array[];
        };
        const before = await rows();
        tf.tidy(() => {
          const [table, ...rest] = model.getWeights() as [tf.Tensor, ...tf.Tensor[]];
          const noise = tf.tensor(drawTensor(1320, [1, 8], 'float32', 50), [1, 8]);
          model.setWeights([tf.add(table, tf.concat([noise, tf.zeros([9, 8])])), ...rest]);
        });
        const after = await rows();
        before.forEach((values, index) => expectSameBits('output', after[index]!, values));
        ids.dispose();
        model.dispose();
      }));

    it('the mask of another input is not taken for that of keys', () =>
      withoutLeak(async () => {
        const other = drawn(1302, [B, M, C]);
        const { layer } = builtLayer(SIZES, x, other);
        const tensors = tensorsOf(x, other);
        const mask = tf.tensor2d(realSteps, [B, M], 'bool');
        const got = await valuesOf(() => applied<tf.Tensor>(layer, tensors, { mask }));
        expectSameBits('output', got, await valuesOf(() => applied<tf.Tensor>(layer, tensors)));
        tf.dispose([...tensors, mask]);
        disposeLayers(layer);
      }));

    const packs: [title: string, args: Partial<layers.MultiHeadAttentionArgs>][] = [
      ['to all sides', {}],
      ['causal, rotated', { causal: true, rope: true, qkNorm: 'rms' }],
      ['in a causal window', { causal: true, windowSize: 2, rope: true }],
      ['in a window', { windowSize: 2, numKvHeads: 2 }],
    ];
    for (const [title, args] of packs) {
      const reason = repeated(backend, title === 'causal, rotated');
      itUnless(reason, `packed sequences are as each alone: ${title}`, () =>
        withoutLeak(async () => {
          const seqlens = [3, 1, 3];
          const packed = drawn(1330, [1, 7, C]);
          const { layer } = builtLayer({ ...SIZES, ...args }, packed);
          const tensor = tensorsOf(packed)[0]!;
          const got = await valuesOf(() => applied<tf.Tensor>(layer, tensor, { seqlens }));
          const parts = await valuesOf(() => {
            const each = tf.split(tensor, seqlens, 1);
            return tf.concat(
              each.map((part) => applied<tf.Tensor>(layer, part)),
              1,
            );
          });
          expectClose('output', got, parts, FORWARD);
          tensor.dispose();
          disposeLayers(layer);
        }),
      );
    }

    it('packs cross-attention by the lengths of queries and keys, with a mask besides', () =>
      withoutLeak(async () => {
        const [query, values] = [drawn(1340, [1, 5, C]), drawn(1341, [1, 7, C])];
        const { layer, weights } = builtLayer(SIZES, query, values);
        const tensors = tensorsOf(query, values);
        const attentionMask = tf.tensor(
          Array.from({ length: 35 }, (_, at) => (at % 5 === 1 ? 0 : 1)),
          [5, 7],
          'bool',
        );
        const blockOf = (at: number, lengths: number[]) => (at < lengths[0]! ? 0 : 1);
        const kwargs = { seqlens: [2, 3], kvSeqlens: [4, 3], attentionMask };
        const got = await valuesOf(() => applied<tf.Tensor>(layer, tensors, kwargs));
        const want = reference(layer, weights, [query, values], {
          mayAttend: (_b, i, j) =>
            blockOf(i, [2, 3]) === blockOf(j, [4, 3]) && (i * 7 + j) % 5 !== 1,
        });
        expectClose('output', got, want, FORWARD);
        tf.dispose([...tensors, attentionMask]);
        disposeLayers(layer);
      }));

    it('turns rows to the positions that it is given', () =>
      withoutLeak(async () => {
        const { layer, weights } = builtLayer({ ...SIZES, rope: { interleaved: true } }, x);
        const tensor = tensorsOf(x)[0]!;
        const positions = [
          [4, 0, 9, 9, 1],
          [0, 1, 2, 3, 1000],
        ];
        const got = await valuesOf(() => applied<tf.Tensor>(layer, tensor, { positions }));
        const rotary = { interleaved: true };
        const positionOf = (b: number, m: number) => positions[b]![m]!;
        const want = reference(layer, weights, [x], { rotary, positionOf });
        expectClose('output', got, want, FORWARD);
        const both = { positions: { query: positions, key: positions } };
        const same = await valuesOf(() => applied<tf.Tensor>(layer, tensor, both));
        expectSameBits('output', same, got);
        tensor.dispose();
        disposeLayers(layer);
      }));

    it('drops weights only when training, the same ones after a seed', () =>
      withoutLeak(async () => {
        const { layer } = builtLayer({ ...SIZES, dropout: 0.5, seed: 7 }, x);
        const { layer: same } = builtLayer({ ...SIZES, dropout: 0.5, seed: 7 }, x);
        const tensor = tensorsOf(x)[0]!;
        const run = (of: layers.MultiHeadAttention, training: boolean) =>
          valuesOf(() => applied<tf.Tensor>(of, tensor, { training }));
        const plain = await run(layer, false);
        const dropped = await run(layer, true);
        expect(Array.from(dropped)).not.to.deep.equal(Array.from(plain));
        expectSameBits('output', await run(same, true), dropped);
        expectSameBits('output', await run(same, false), plain);
        tensor.dispose();
        disposeLayers(layer, same);
      }));
  });
}
