// SPDX-License-Identifier: Apache-2.0
/** The key/value cache of layers.multiHeadAttention: steps of any size give what the whole sequence gives. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { drawTensor } from '../support/draw.js';
import { applied, disposeLayers, predict, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import {
  H,
  K,
  builtLayer,
  drawn,
  setDrawnWeights,
  tensorsOf,
} from '../support/multi_head_cases.js';

/** The issue asks for 1e-5. */
const EXACT = 1e-5;
const [B, M, C] = [2, 7, 12];
/** Into a new buffer, into its room, into a larger one, and with a window of 2 after rows were dropped. */
const PARTS = [2, 1, 3, 1];
const x = drawn(1400, [B, M, C]);
const SIZES = { numHeads: H, keyDim: K, causal: true };

function expectExact(got: Float32Array, want: Float32Array): void {
  expect(got.length).to.equal(want.length);
  const error = got.reduce((max, v, i) => Math.max(max, Math.abs(v - want[i]!)), 0);
  expect(error).to.be.below(EXACT);
}

/** The output of a sequence that goes through a layer in parts. */
function inParts(
  layer: tfl.layers.Layer,
  sequence: tf.Tensor,
  lengths: readonly number[],
  kwargsOf: (at: number, length: number) => Record<string, unknown>,
): tf.Tensor {
  let at = 0;
  const outputs = lengths.map((length) => {
    const part = tf.slice(sequence, [0, at], [-1, length]);
    const output = applied<tf.Tensor>(layer, part, kwargsOf(at, length));
    at += length;
    return output;
  });
  return tf.concat(outputs, 1);
}

type Case = [title: string, args: Partial<layers.MultiHeadAttentionArgs>];
const cases: Case[] = [
  ['plain', {}],
  ['grouped heads, QK-norm and rotary embedding', { numKvHeads: 2, qkNorm: 'rms', rope: true }],
  ['a window that rows fall out of', { windowSize: 2, rope: { interleaved: true } }],
  ['bfloat16', { numKvHeads: 2, qkNorm: 'rms', rope: true, castTo: 'bfloat16' }],
  ['bfloat16, a window and an odd head dim', { windowSize: 2, keyDim: 15, castTo: 'bfloat16' }],
];

const windowed = cases[2]!;

export function suite(backend: TestBackend): void {
  describe('key/value cache', function () {
    this.timeout(180000);

    for (const c of cases) {
      const [title, args] = c;
      const reason = repeated(backend, c === windowed || title === 'bfloat16');
      itUnless(reason, `steps equal the whole sequence: ${title}`, () =>
        withoutLeak(async () => {
          const { layer } = builtLayer({ ...SIZES, ...args }, x);
          const tensor = tensorsOf(x)[0]!;
          const want = await valuesOf(() => applied<tf.Tensor>(layer, tensor));
          const cache = layer.makeCache(B, M);
          const got = await valuesOf(() => inParts(layer, tensor, PARTS, () => ({ cache })));
          expectExact(got, want);
          expect(cache.length).to.equal(M);
          cache.reset();
          expect(cache.byteLength).to.equal(0);
          cache.dispose();
          tensor.dispose();
          disposeLayers(layer);
        }),
      );
    }

    it('bfloat16 takes half the bytes, and no more than twice what is needed', () =>
      withoutLeak(async () => {
        const bytes = [];
        for (const castTo of ['float32', 'bfloat16'] as const) {
          const { layer } = builtLayer({ ...SIZES, castTo }, x);
          const cache = layer.makeCache(B, 1000);
          const tensor = tensorsOf(x)[0]!;
          await valuesOf(() => applied<tf.Tensor>(layer, tensor, { cache }));
          bytes.push(cache.byteLength);
          cache.dispose();
          tensor.dispose();
          disposeLayers(layer);
        }
        expect(bytes[1]).to.equal(bytes[0]! / 2);
        const needed = B * M * H * K * 2 * 4;
        expect(bytes[0]).to.be.within(needed, 2 * needed);
      }));

    itUnless(repeated(backend), 'with a window, memory does not grow with the sequence', () =>
      withoutLeak(() => {
        const { layer } = builtLayer({ ...SIZES, windowSize: 2 }, x);
        const cache = layer.makeCache(1, 100);
        const step = tf.ones([1, 1, C]);
        for (let i = 0; i < 40; i++) tf.tidy(() => void applied<tf.Tensor>(layer, step, { cache }));
        expect(cache.length).to.equal(40);
        expect(cache.byteLength).to.be.at.most(16 * H * K * 2 * 4);
        cache.dispose();
        step.dispose();
        disposeLayers(layer);
      }),
    );

    for (const c of [cases[1]!, windowed]) {
      const [title, args] = c;
      itUnless(
        repeated(backend, c === windowed),
        `padding on the left stays hidden: ${title}`,
        () =>
          withoutLeak(async () => {
            const { layer } = builtLayer({ ...SIZES, ...args }, x);
            const tensor = tensorsOf(x)[0]!;
            // The second sequence begins after a step of padding.
            const real = [new Array<number>(M).fill(1), [0, 1, 1, 1, 1, 1, 1]];
            const mask = tf.tensor2d(real, [B, M], 'bool');
            const want = await valuesOf(() => applied<tf.Tensor>(layer, tensor, { mask }));
            const cache = layer.makeCache(B, M);
            const got = await valuesOf(() =>
              inParts(layer, tensor, PARTS, (at) => ({
                cache,
                mask:
                  at === 0
                    ? tf.tensor2d(
                        real.map((row) => row.slice(0, 2)),
                        [B, 2],
                        'bool',
                      )
                    : null,
              })),
            );
            expectExact(got, want);
            cache.dispose();
            tf.dispose([tensor, mask]);
            disposeLayers(layer);
          }),
      );
    }

    for (const c of [cases[0]!, windowed]) {
      const [title, args] = c;
      const name = `takes an attention mask over all steps so far: ${title}`;
      itUnless(repeated(backend, c === windowed), name, () =>
        withoutLeak(async () => {
          const { layer } = builtLayer({ ...SIZES, ...args }, x);
          const tensor = tensorsOf(x)[0]!;
          const bits = drawTensor(1410, [B, M, M]).map((v) => (v > -0.5 ? 1 : 0));
          const whole = tf.tensor(bits, [B, M, M], 'int32');
          const want = await valuesOf(() =>
            applied<tf.Tensor>(layer, tensor, { attentionMask: whole }),
          );
          const cache = layer.makeCache(B, 2 * M);
          const got = await valuesOf(() =>
            inParts(layer, tensor, PARTS, (at, length) => ({
              cache,
              attentionMask: tf.slice(whole, [0, at, 0], [B, length, at + length]),
            })),
          );
          expectExact(got, want);
          cache.dispose();
          tf.dispose([tensor, whole]);
          disposeLayers(layer);
        }),
      );
    }

    it('projects the keys of cross-attention once', () =>
      withoutLeak(async () => {
        const value = drawn(1401, [B, 4, C]);
        const { layer } = builtLayer({ ...SIZES, causal: false, castTo: 'bfloat16' }, x, value);
        const [query, values] = tensorsOf(x, value);
        const mask = tf.tensor2d([...[1, 1, 0, 1], ...[0, 1, 1, 0]], [B, 4], 'bool');
        const want = await valuesOf(() =>
          applied<tf.Tensor>(layer, [query!, values!], { mask: [null, mask] }),
        );
        const cache = layer.makeCache(B, M);
        const other = tf.zerosLike(values!);
        const got = await valuesOf(() => {
          const parts = [0, 3].map((at) => {
            const step = tf.slice(query!, [0, at], [-1, at === 0 ? 3 : 4]);
            const kwargs = at === 0 ? { cache, mask: [null, mask] } : { cache };
            return applied<tf.Tensor>(layer, [step, at === 0 ? values! : other], kwargs);
          });
          return tf.concat(parts, 1);
        });
        expectExact(got, want);
        cache.dispose();
        tf.dispose([query!, values!, mask, other]);
        disposeLayers(layer);
      }));

    const whole = 'generates with a whole model, layers in a model inside it included';
    itUnless(repeated(backend), whole, () =>
      withoutLeak(async () => {
        const inner = tfl.input({ shape: [null, 8] });
        const block = tfl.model({
          inputs: inner,
          outputs: applied(layers.multiHeadAttention({ ...SIZES, rope: true }), inner),
        });
        const tokens = tfl.input({ shape: [null] });
        const embedded = applied(tfl.layers.embedding({ inputDim: 10, outputDim: 8 }), tokens);
        const attended = applied(
          layers.multiHeadAttention({ ...SIZES, castTo: 'bfloat16' }),
          applied(layers.fusedRMSNormalization(), embedded),
        );
        const summed = applied(tfl.layers.add(), [embedded, attended]);
        const model = tfl.model({ inputs: tokens, outputs: applied(block, summed) });
        // Where a number lies between two bfloat16, its last bit decides, and that depends on the length of a step.
        setDrawnWeights(model);
        const ids = tf.tensor2d([3, 1, 4, 1], [1, 4]);
        const want = await valuesOf(() => predict(model, ids));
        const cache = layers.makeCache(model, 1, 4);
        const got = await valuesOf(() => inParts(model, ids, [2, 1, 1], () => ({ cache })));
        expectExact(got, want);
        expect(cache.length).to.equal(4);
        cache.dispose();
        expect(cache.isDisposed).to.be.true;
        ids.dispose();
        model.dispose();
      }),
    );

    it('two caches of a layer do not know each other', () =>
      withoutLeak(async () => {
        const { layer } = builtLayer({ ...SIZES, rope: true }, x);
        const tensor = tensorsOf(x)[0]!;
        const [a, b] = [layer.makeCache(B, M), layer.makeCache(B, M)];
        const alone = await valuesOf(() => inParts(layer, tensor, [2, 1], () => ({ cache: a })));
        a.reset();
        const caches = [a, b, a, b];
        const mixed = await valuesOf(() => {
          const parts = [0, 0, 2, 2].map((at, index) => {
            const part = tf.slice(tensor, [0, at], [-1, at === 0 ? 2 : 1]);
            return applied<tf.Tensor>(layer, part, { cache: caches[index] });
          });
          return tf.concat([parts[1]!, parts[3]!], 1);
        });
        expectSameBits('output', mixed, alone);
        tf.dispose([tensor]);
        a.dispose();
        b.dispose();
        disposeLayers(layer);
      }));
  });
}
