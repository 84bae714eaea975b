// SPDX-License-Identifier: Apache-2.0
/** layers.multiHeadAttention against Keras' definition in float64: sizes, norms, rotary embedding, weights. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { applied, disposeLayers, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { H, K, builtLayer, drawn, reference, tensorsOf } from '../support/multi_head_cases.js';
import type { Drawn } from '../support/multi_head_cases.js';
import type { MultiHeadProblem } from '../support/reference_multi_head.js';

/** Sums of products of about C + K terms. */
const FORWARD = { kind: 'forward', dtype: 'float32', unit: 'largest' } as const;
const [B, M, N, C, D] = [2, 5, 7, 12, 10];
const x = drawn(1200, [B, M, C]);
const value = drawn(1201, [B, N, D]);
const key = drawn(1202, [B, N, 6]);

type Args = Omit<layers.MultiHeadAttentionArgs, 'numHeads' | 'keyDim'>;
type Case = [
  title: string,
  args: Args,
  inputs: [Drawn, Drawn?, Drawn?],
  more?: Partial<MultiHeadProblem>,
];

const causal = (_b: number, i: number, j: number) => j <= i;
const rms = { norm: 'rms', epsilon: 1e-5 } as const;
const cases: Case[] = [
  ['self-attention', {}, [x]],
  ['query and value', {}, [x, value]],
  ['query, value and key', { useBias: false }, [x, value, key]],
  ['grouped heads, other sizes', { numKvHeads: 2, valueDim: 16, units: 9 }, [x]],
  ['one key head', { numKvHeads: 1, useBias: false }, [x]],
  [
    'causal',
    { causal: true, scale: 0.4, softcap: 3 },
    [x],
    { scale: 0.4, softcap: 3, mayAttend: causal },
  ],
  [
    'window to both sides',
    { windowSize: 2 },
    [x],
    { mayAttend: (_b, i, j) => Math.abs(i - j) < 2 },
  ],
  ['QK-norm', { qkNorm: true }, [x], { norm: { norm: 'layer' } }],
  [
    'QK-norm of tokens',
    { qkNorm: { ...rms, perHead: false } },
    [x],
    { norm: { ...rms, perHead: false } },
  ],
  ['rotary embedding', { rope: true, causal: true }, [x], { rotary: {}, mayAttend: causal }],
  [
    'QK-norm, then rotary embedding: Qwen3',
    { qkNorm: 'rms', rope: { base: 1e6 }, causal: true, numKvHeads: 2, useBias: false },
    [x],
    { norm: { norm: 'rms' }, rotary: { base: 1e6 }, mayAttend: causal },
  ],
  [
    'with a window around zero: Gemma 3',
    {
      qkNorm: { norm: 'rms', weightOffset: 1 },
      rope: { base: 1e4, scaling: { type: 'linear', factor: 8 } },
      ...{ causal: true, windowSize: 3, numKvHeads: 1, useBias: false },
    },
    [x],
    {
      norm: { norm: 'rms', weightOffset: 1 },
      rotary: { frequencies: Array.from({ length: K / 2 }, (_, i) => 1e4 ** ((-2 * i) / K) / 8) },
      mayAttend: (_b, i, j) => j <= i && j > i - 3,
    },
  ],
];

export function suite(backend: TestBackend): void {
  const some = ['self-attention', 'query, value and key', cases[10]![0]];
  describe('multi-head attention layer', function () {
    this.timeout(180000);

    for (const [title, args, inputs, more] of cases) {
      itUnless(repeated(backend, some.includes(title)), `is its definition: ${title}`, () =>
        withoutLeak(async () => {
          const given = inputs as Drawn[];
          const { layer, weights } = builtLayer({ numHeads: H, keyDim: K, ...args }, ...given);
          const tensors = tensorsOf(...given);
          const got = await valuesOf(() => applied<tf.Tensor>(layer, tensors));
          expectClose('output', got, reference(layer, weights, inputs, more), FORWARD);
          tf.dispose(tensors);
          disposeLayers(layer);
        }),
      );
    }

    it("has Keras' weights: order, names and shapes", () =>
      withoutLeak(() => {
        const args = { numHeads: H, keyDim: K, valueDim: 16, numKvHeads: 2, units: 9 };
        const { layer } = builtLayer({ ...args, qkNorm: 'rms', name: 'mha' }, x, value, key);
        const listed = layer.weights.map(({ originalName, shape }) => [originalName, shape.join()]);
        expect(listed).to.deep.equal([
          ['mha/query/kernel', '12,4,16'],
          ['mha/query/bias', '4,16'],
          ['mha/key/kernel', '6,2,16'],
          ['mha/key/bias', '2,16'],
          ['mha/value/kernel', '10,2,16'],
          ['mha/value/bias', '2,16'],
          ['mha/attention_output/kernel', '4,16,9'],
          ['mha/attention_output/bias', '9'],
          ['mha/q_norm/gamma', '16'],
          ['mha/k_norm/gamma', '16'],
        ]);
        disposeLayers(layer);
      }));

    it('casts to bfloat16 inside, and returns float32', () =>
      withoutLeak(async () => {
        const { layer, weights } = builtLayer(
          { numHeads: H, keyDim: K, qkNorm: 'rms', castTo: 'bfloat16', rope: true },
          x,
        );
        const tensors = tensorsOf(x);
        const output = tf.tidy(() => applied<tf.Tensor>(layer, tensors));
        expect(output.dtype).to.equal('float32');
        const got = await output.data();
        const want = reference(layer, weights, [x], { norm: { norm: 'rms' }, rotary: {} });
        expectClose('output', got, want, { kind: 'gradient', dtype: 'bfloat16', unit: 'largest' });
        expect(got.some((v, i) => Math.abs(v - want[i]!) > 1e-4)).to.be.true;
        tf.dispose([...tensors, output]);
        disposeLayers(layer);
      }));

    it('says its output shape, unknown sizes included', () => {
      const layer = layers.multiHeadAttention({ numHeads: 2, keyDim: 4, units: 3 });
      const output = applied(layer, [
        tfl.input({ shape: [null, 8] }),
        tfl.input({ shape: [9, 6] }),
      ]) as tfl.SymbolicTensor;
      expect(output.shape).to.deep.equal([null, null, 3]);
      layer.dispose();
    });

    it('draws its kernels as the matrices that they are, and the same after a seed', () =>
      withoutLeak(async () => {
        const make = () => {
          const kernelInitializer = tfl.initializers.glorotUniform({ seed: 5 });
          const layer = layers.multiHeadAttention({ numHeads: 8, keyDim: 4, kernelInitializer });
          layer.build([1, 1, 32]);
          return layer;
        };
        const made = [make(), make()];
        const [first, second] = await Promise.all(
          made.map((layer) => layer.getWeights()[0]!.data() as Promise<Float32Array>),
        );
        expectSameBits('kernel', first!, second!);
        // glorotUniform of [32, 32]; of [32, 8, 4] it would be 0.125.
        const limit = Math.sqrt(6 / 64);
        const largest = Math.max(...first!.map(Math.abs));
        expect(largest).to.be.within(0.9 * limit, limit);
        for (const layer of made) layer.weights.forEach((weight) => weight.dispose());
      }));

    it('loads what Keras calls it', () => {
      const config = {
        ...{ name: 'mha', trainable: true, dtype: 'float32', numHeads: 4, keyDim: 8 },
        ...{ valueDim: 8, dropout: 0.1, useBias: true, outputShape: [6], attentionAxes: [1] },
        ...{
          flashAttention: null,
          seed: null,
          queryShape: [null, 3, 4],
          activityRegularizer: null,
        },
        kernelInitializer: { className: 'GlorotUniform', config: { seed: null } },
      };
      const entry = tf.serialization.SerializationMap.getMap().classNameMap['MultiHeadAttention']!;
      const layer = entry[1](entry[0], config as never) as layers.MultiHeadAttention;
      expect(layer.getConfig()).to.deep.include({ numHeads: 4, units: 6, dropout: 0.1 });
    });

    it('its configuration makes the same layer', () => {
      const args = {
        ...{ numHeads: 4, keyDim: 8, valueDim: 6, numKvHeads: 2, units: 5, useBias: false },
        ...{ causal: true, windowSize: 3, scale: 0.2, dropout: 0.1, seed: 3, softcap: 20 },
        ...({ castTo: 'bfloat16', castStrategy: 'weights' } as const),
        qkNorm: { norm: 'rms', perHead: false, epsilon: 1e-5, weightOffset: 1 } as const,
        rope: {
          base: 1e6,
          dim: 4,
          scaling: { type: 'llama3', factor: 8, originalMaxPositionEmbeddings: 64 },
        } as const,
        kernelRegularizer: tfl.regularizers.l2({ l2: 0.1 }),
        kernelConstraint: tfl.constraints.maxNorm({ maxValue: 2, axis: 0 }),
      };
      const config = layers.multiHeadAttention(args).getConfig();
      const text = JSON.parse(JSON.stringify(config)) as tf.serialization.ConfigDict;
      const made = layers.MultiHeadAttention.fromConfig(layers.MultiHeadAttention as never, text);
      expect((made as unknown as layers.MultiHeadAttention).getConfig()).to.deep.equal(config);
    });
  });
}
