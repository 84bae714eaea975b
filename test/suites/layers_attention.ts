// SPDX-License-Identifier: Apache-2.0
/** layers.memoryEfficientAttention: the op in a layer, with the masks of tf.layers. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { attnBias, layers, memoryEfficientAttention, toBFloat16 } from '../../src/index.js';
import type { AttentionLayerArgs } from '../../src/layers/attention_layer.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { applied, predict, projectHeads, saveAndLoad, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';

const FORWARD = { kind: 'forward', dtype: 'float32' } as const;
const [B, M, H, K] = [2, 7, 2, 16];

/** query, key and value; `keys` of them with `kvHeads` heads. */
const operands = (keys = M, kvHeads = H): [tf.Tensor, tf.Tensor, tf.Tensor] =>
  [
    [B, M, H, K],
    [B, keys, kvHeads, K],
    [B, keys, kvHeads, K],
  ].map((shape, index) => tf.tensor(drawTensor(910 + index, shape), shape)) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];

type Mask = attnBias.AttentionBias | null;
const masks: [title: string, args: AttentionLayerArgs, mask: () => Mask][] = [
  ['no mask', {}, () => null],
  ['causal', { causal: true }, () => new attnBias.LowerTriangularFromBottomRightMask()],
  [
    'causal window',
    { causal: true, windowSize: 3 },
    () => new attnBias.LowerTriangularFromBottomRightLocalAttentionMask(3),
  ],
  [
    'window',
    { windowSize: 3 },
    () => new attnBias.LocalAttentionFromBottomRightMask({ windowLeft: 2, windowRight: 2 }),
  ],
];

/** Token ids whose zeros are padding, and the steps that are not, of the same for each head. */
const ids = () => tf.tensor2d([...[3, 1, 0, 1, 5, 0, 2], ...[0, 7, 1, 8, 0, 8, 2]], [B, M]);
const real = [0, 1, 3, 4, 6, 8, 9, 10, 12, 13];

/** Embedded ids, projected to query, key and value in the usual way, then attention. */
function textModel(args: AttentionLayerArgs, maskZero: boolean): tfl.LayersModel {
  const tokens = tfl.input({ shape: [M] });
  const embedding = tfl.layers.embedding({ inputDim: 10, outputDim: 8, maskZero });
  const x = applied(embedding, tokens);
  const heads = [0, 1, 2].map(() => projectHeads(x, M, H, K));
  const layer = layers.memoryEfficientAttention(args);
  return tfl.model({ inputs: tokens, outputs: applied(layer, heads) });
}

export function suite(_backend: TestBackend): void {
  describe('attention layer', function () {
    this.timeout(60000);

    for (const [title, args, mask] of masks) {
      it(`equals the op: ${title}`, () =>
        withoutLeak(async () => {
          const layer = layers.memoryEfficientAttention(args);
          const inputs = operands(10, 1);
          const got = await valuesOf(() => applied<tf.Tensor>(layer, inputs));
          const want = await valuesOf(
            () => memoryEfficientAttention(...inputs, mask(), {}) as tf.Tensor,
          );
          expectSameBits('output', got, want);
          tf.dispose(inputs);
        }));

      it(`padding from embedding({maskZero: true}) is not attended: ${title}`, () =>
        withoutLeak(async () => {
          const [model, blind] = [textModel(args, true), textModel(args, false)];
          const tokens = ids();
          // Another embedding of 0 changes nothing for the steps that are real.
          const changed = tf.tidy(() => {
            const row = tf.concat([tf.fill([1, 8], 50), tf.zeros([9, 8])]);
            const [table, ...rest] = model.getWeights() as [tf.Tensor, ...tf.Tensor[]];
            return [tf.keep(tf.add(table, row)), ...rest];
          });
          const rows = (m: tfl.LayersModel) =>
            valuesOf(() => tf.gather(tf.reshape(predict(m, tokens), [B * M, H * K]), real));
          blind.setWeights(model.getWeights());
          const before = await rows(model);
          const unmasked = await rows(blind);
          model.setWeights(changed);
          const after = await rows(model);
          expectSameBits('output', after, before);
          expect(Array.from(before).every(Number.isFinite)).to.be.true;
          expect(Array.from(unmasked)).not.to.deep.equal(Array.from(before));
          tf.dispose([tokens, changed[0]!]);
          model.dispose();
          blind.dispose();
        }));
    }

    it('takes the masks of a model in a model, and not those of the call before', () =>
      withoutLeak(async () => {
        const x = tfl.input({ shape: [M, H, K] });
        const layer = layers.memoryEfficientAttention();
        const inner = tfl.model({ inputs: x, outputs: applied(layer, [x, x, x]) });
        const outerInput = tfl.input({ shape: [M, H, K] });
        const masked = applied(tfl.layers.masking(), outerInput);
        const model = tfl.model({ inputs: outerInput, outputs: applied(inner, masked) });
        for (const length of [3, 5]) {
          const values = drawTensor(920, [B, M, H, K]);
          const padded = values.map((v, i) => (Math.floor(i / (H * K)) % M < length ? v : 0));
          const tensors = [padded, padded.filter((v) => v !== 0)] as const;
          const full = tf.tensor(tensors[0], [B, M, H, K]);
          const short = tf.tensor(tensors[1], [B, length, H, K]);
          const got = await valuesOf(() => tf.slice(predict(model, full), [0, 0], [B, length]));
          const want = await valuesOf(
            () => memoryEfficientAttention(short, short, short) as tf.Tensor,
          );
          expectClose('output', got, want, FORWARD);
          tf.dispose([full, short]);
        }
        model.dispose();
      }));

    it('takes a mask for each key head, and the one of value besides', () =>
      withoutLeak(async () => {
        const inputs = operands(M, 1);
        const layer = layers.memoryEfficientAttention({ causal: true });
        const mask = tf.tensor3d([1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1], [B, M, 1], 'bool');
        const valueMask = tf.tensor2d([1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1], [B, M], 'int32');
        const both = tf.tensor([1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1], [B, 1, 1, M], 'bool');
        const kwargs = () => ({ mask: [null, mask, valueMask] });
        const got = await valuesOf(() => layer.call(inputs, kwargs()));
        const want = await valuesOf(() => {
          const bias = tf.where(both, tf.scalar(0), tf.scalar(-Infinity));
          const causal = new attnBias.LowerTriangularMask().addBias(bias);
          return memoryEfficientAttention(...inputs, causal) as tf.Tensor;
        });
        expectClose('output', got, want, FORWARD);
        tf.dispose([...inputs, mask, valueMask, both]);
      }));

    it('ignores a mask of other steps than those of its keys', () =>
      withoutLeak(async () => {
        const inputs = operands();
        const layer = layers.memoryEfficientAttention();
        const mask = tf.zeros([B, M + 1], 'bool');
        const got = await valuesOf(() => applied<tf.Tensor>(layer, inputs, { mask }));
        expectSameBits('output', got, await valuesOf(() => applied<tf.Tensor>(layer, inputs)));
        tf.dispose([...inputs, mask]);
      }));

    it('refuses a mask given for a key that is of other steps, and a list of numbers', () =>
      withoutLeak(() => {
        const inputs = operands();
        const layer = layers.memoryEfficientAttention();
        const mask = tf.zeros([B, M + 1], 'bool');
        const call = (given: unknown) => () =>
          tf.tidy(() => applied<tf.Tensor>(layer, inputs, { mask: [null, given, null] }));
        expect(call(mask)).to.throw(RangeError, /mask must be a live tensor .*, got shape \[/);
        expect(call([1, 1])).to.throw(RangeError, /mask must be a live tensor .*, got \[1, 1\]/);
        tf.dispose([...inputs, mask]);
      }));

    it('drops weights only when training, the same ones after a seed', () =>
      withoutLeak(async () => {
        const inputs = operands();
        const make = () => layers.memoryEfficientAttention({ dropout: 0.5, seed: 7 });
        const [a, b] = [make(), make()];
        const run = (layer: tfl.layers.Layer, training: boolean) =>
          valuesOf(() => applied<tf.Tensor>(layer, inputs, { training }));
        const seeded = (seed: number) =>
          valuesOf(() => memoryEfficientAttention(...inputs, null, { p: 0.5, seed }) as tf.Tensor);
        const plain = await valuesOf(() => memoryEfficientAttention(...inputs) as tf.Tensor);
        expectSameBits('not training', await run(a, false), plain);
        const [first, second] = [await run(a, true), await run(a, true)];
        expectSameBits('first', first, await seeded(7));
        expectSameBits('second', second, await seeded(8));
        expectSameBits('another layer', await run(b, true), first);
        tf.dispose(inputs);
      }));

    it('takes bfloat16 tensors, and returns float32', () =>
      withoutLeak(async () => {
        const inputs = operands();
        const halves = tf.tidy(() => inputs.map((x) => toBFloat16(x)));
        const layer = layers.memoryEfficientAttention();
        const got = await valuesOf(() => layer.call(halves as unknown as tf.Tensor[], {}));
        const [q, k, v] = halves as [never, never, never];
        const want = await valuesOf(
          () => memoryEfficientAttention(q, k, v, null, { outputDtype: 'float32' }) as tf.Tensor,
        );
        expectSameBits('output', got, want);
        tf.dispose([...inputs, ...halves]);
      }));

    it('a saved model loads with the same arguments and outputs', () =>
      withoutLeak(async () => {
        const args = { causal: true, windowSize: 4, scale: 0.2, dropout: 0.1, softcap: 5, seed: 3 };
        const model = textModel(args, true);
        const loaded = await saveAndLoad(model);
        const tokens = ids();
        const want = await valuesOf(() => predict(model, tokens));
        expectSameBits('output', await valuesOf(() => predict(loaded, tokens)), want);
        expect(loaded.layers.at(-1)!.getConfig()).to.deep.include(args);
        tokens.dispose();
        model.dispose();
        loaded.dispose();
      }));

    it('knows its output shape, unknown sizes included', () => {
      const layer = layers.memoryEfficientAttention();
      const shapes = [
        [null, null, 4, 8],
        [null, 9, 2, 8],
        [null, 9, 2, 5],
      ];
      expect(layer.computeOutputShape(shapes)).to.deep.equal([null, null, 4, 5]);
    });
  });
}
