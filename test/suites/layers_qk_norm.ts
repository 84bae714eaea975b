// SPDX-License-Identifier: Apache-2.0
/** layers.qkNormAttention: every norm against its definition, both casts, wrapped norms, masks. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { attnBias, layers, memoryEfficientAttention, toBFloat16 } from '../../src/index.js';
import type { QKNormAttentionArgs } from '../../src/layers/qk_norm_attention.js';
import { qkNormCases } from '../cases/norm.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { loadGolden } from '../support/golden.js';
import {
  applied,
  disposeLayers,
  predict,
  projectHeads,
  valuesOf,
} from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { normDefinition } from '../support/reference_qk_norm.js';
import { referenceRotary } from '../support/reference_rotary.js';

const FORWARD = { kind: 'forward', dtype: 'float32' } as const;
// A normed value next to a rounding boundary may round the other way, see suites/qk_norm.ts.
const ROUNDED = { kind: 'gradient', dtype: 'bfloat16' } as const;
const [B, M, H, G, K] = [2, 7, 4, 2, 16];
const SHAPES = [
  [B, M, H, K],
  [B, M, G, K],
  [B, M, G, K],
] as const;

const operandValues = SHAPES.map((shape, index) =>
  drawTensor(930 + index, shape, 'float32', 2, 0.3),
);
const operands = (): tf.Tensor[] =>
  operandValues.map((values, index) => tf.tensor(values, [...SHAPES[index]!]));

/** Weights that are not the initial ones, for a layer that is built. */
function setDrawnWeights(layer: tfl.layers.Layer): Float32Array[] {
  const values = layer.weights.map(({ shape, name }, index) => {
    const isBeta = name.includes('beta');
    return drawTensor(940 + index, shape as number[], 'float32', 0.3, isBeta ? 0 : 1);
  });
  tf.tidy(() => {
    layer.setWeights(
      values.map((v, index) => tf.tensor(v, layer.weights[index]!.shape as number[])),
    );
  });
  return values;
}

const variants: [title: string, args: QKNormAttentionArgs, weights: string[]][] = [
  ['layer', { norm: 'layer' }, ['16', '16', '16', '16']],
  ['layer without beta', { norm: 'layer', useBeta: false }, ['16', '16']],
  ['layer, no weights', { norm: 'layer', useBeta: false, useGamma: false }, []],
  ['layer, own for each head', { sharedAcrossHeads: false }, ['4,16', '4,16', '2,16', '2,16']],
  ['layer across heads', { perHead: false }, ['64', '64', '32', '32']],
  ['rms', { norm: 'rms', epsilon: 1e-5 }, ['16', '16']],
  ['rms around zero', { norm: 'rms', weightOffset: 1 }, ['16', '16']],
  ['rms across heads', { norm: 'rms', perHead: false }, ['64', '32']],
  [
    'rms around zero, own for each head',
    { norm: 'rms', weightOffset: 1, sharedAcrossHeads: false },
    ['4,16', '2,16'],
  ],
  ['l2', { norm: 'l2' }, []],
  ['l2 with gamma, across heads', { norm: 'l2', useGamma: true, perHead: false }, ['64', '32']],
  ['none', { norm: 'none' }, []],
];

export function suite(backend: TestBackend): void {
  describe('QK-norm attention layer', function () {
    this.timeout(60000);

    for (const c of qkNormCases) {
      it(`golden ${c.name} · ${c.norm}${c.causal ? ' · causal' : ''}`, async () => {
        const golden = await loadGolden(backend, 'qknorm');
        await withoutLeak(async () => {
          const { norm, causal, epsilon } = c;
          const layer = layers.qkNormAttention({ norm, causal, epsilon });
          const input = (offset: number, scale: number, shift: number) =>
            tf.tensor(drawTensor(c.seed + offset, c.dims, 'float32', scale, shift), [...c.dims]);
          const inputs = [input(0, 2, 0.3), input(1, 0.5, -0.2), input(2, 1, 0)];
          layer.build(inputs.map((x) => x.shape));
          const weight = (offset: number, scale: number, shift: number) =>
            tf.tensor(drawTensor(c.seed + offset, [c.dims[3]], 'float32', scale, shift));
          const [gammas, betas] = [
            [weight(3, 0.2, 1), weight(5, 0.2, 1)],
            [weight(4, 0.3, 0), weight(6, 0.3, 0)],
          ];
          const isRMS = norm === 'rms';
          layer.setWeights(isRMS ? gammas : [gammas[0]!, betas[0]!, gammas[1]!, betas[1]!]);
          const got = await valuesOf(() => applied<tf.Tensor>(layer, inputs));
          expectClose('output', got, golden.float32(`${c.name}/out`), ROUNDED);
          tf.dispose([...inputs, ...gammas, ...betas]);
          layer.weights.forEach((variable) => variable.dispose());
        });
      });
    }

    for (const [title, args, weights] of variants) {
      it(`is its definition: ${title}`, () =>
        withoutLeak(async () => {
          const layer = layers.qkNormAttention({ ...args, castTo: 'float32', causal: true });
          const inputs = operands();
          tf.tidy(() => void applied<tf.Tensor>(layer, inputs));
          expect(layer.weights.map((weight) => weight.shape.join())).to.deep.equal(weights);
          const values = setDrawnWeights(layer);
          const forQuery = values.slice(0, values.length / 2);
          const forKey = values.slice(values.length / 2);
          const got = await valuesOf(() => applied<tf.Tensor>(layer, inputs));
          const want = await valuesOf(() => {
            const [q, k] = [
              normDefinition(args, operandValues[0]!, SHAPES[0], forQuery),
              normDefinition(args, operandValues[1]!, SHAPES[1], forKey),
            ];
            return memoryEfficientAttention(
              tf.tensor(Float32Array.from(q), [...SHAPES[0]]),
              tf.tensor(Float32Array.from(k), [...SHAPES[1]]),
              inputs[2]!,
              new attnBias.LowerTriangularMask(),
            ) as tf.Tensor;
          });
          expectClose('output', got, want, FORWARD);
          tf.dispose(inputs);
          disposeLayers(layer);
        }));
    }

    it('rotates between norm and cast, the last query at the last key', () =>
      withoutLeak(async () => {
        const args = { norm: 'rms', useGamma: false, castTo: 'float32', causal: true } as const;
        const rope = { base: 100, dim: 8, interleaved: true };
        const layer = layers.qkNormAttention({ ...args, rope });
        expect(layer.getConfig()['rope']).to.deep.equal({ ...rope, scaling: null });
        const inputs = operands();
        const last = tf.slice(inputs[0]!, [0, M - 3], [-1, 3]);
        const attend = (query: tf.Tensor, kwargs = {}) =>
          valuesOf(() => applied<tf.Tensor>(layer, [query, ...inputs.slice(1)], kwargs));
        const want = await valuesOf(() => {
          const rows = ([0, 1] as const).map((i) => {
            const normed = normDefinition(args, operandValues[i]!, SHAPES[i]!, []);
            const turned = referenceRotary(normed, SHAPES[i]!, (_b, m) => m, rope);
            return tf.tensor(Float32Array.from(turned), [...SHAPES[i]!]);
          });
          const causal = new attnBias.LowerTriangularMask();
          return memoryEfficientAttention(rows[0]!, rows[1]!, inputs[2]!, causal) as tf.Tensor;
        });
        const tail = await valuesOf(() => tf.slice(tf.tensor(want, [...SHAPES[0]]), [0, M - 3]));
        expectClose('output', await attend(inputs[0]!), want, FORWARD);
        expectClose('last queries', await attend(last), tail, FORWARD);
        const steps = Array.from({ length: M }, (_, m) => m + 50);
        const positions = { query: steps.slice(-3), key: steps };
        expectClose('moved', await attend(last, { positions }), tail, FORWARD);
        tf.dispose([...inputs, last]);
      }));

    it('rounds once with castStrategy output, and is worse with weights', () =>
      withoutLeak(async () => {
        const shape: [number, number, number, number] = [4, 32, 4, 64];
        const x = drawTensor(950, shape);
        const input = tf.tensor(x, shape);
        const gamma = drawTensor(951, [64], 'float32', 0.2, 1);
        const beta = drawTensor(952, [64], 'float32', 0.2, 0);
        const exact = normDefinition({ norm: 'layer' }, x, shape, [gamma, beta]);
        const errors: number[] = [];
        for (const castStrategy of ['output', 'weights'] as const) {
          const layer = layers.qkNormAttention({ castStrategy });
          layer.build([shape, shape, shape]);
          const weights = [tf.tensor(gamma), tf.tensor(beta)] as const;
          layer.setWeights([...weights, ...weights]);
          const normed = tf.tidy(() => layer.normQuery(input));
          expect(normed.dtype).to.equal('bfloat16');
          const got = await (normed.data() as Promise<Float32Array>);
          if (castStrategy === 'output') {
            expectClose('normed', got, exact, { kind: 'forward', dtype: 'bfloat16' });
          }
          const squares = exact.reduce((sum, e, i) => sum + (e - got[i]!) ** 2, 0);
          errors.push(Math.sqrt(squares / exact.length));
          tf.dispose([normed, ...weights]);
          layer.weights.forEach((variable) => variable.dispose());
        }
        expect(errors[1]! / errors[0]!).to.be.within(1.2, 1.8);
        input.dispose();
      }));

    it('wraps norms of tf.layers and ours, with the same results as the built-in ones', () =>
      withoutLeak(async () => {
        for (const perHead of [true, false]) {
          const own = layers.qkNormAttention({ perHead });
          const wrapping = layers.qkNormAttention({
            perHead,
            qNorm: tfl.layers.layerNormalization({ epsilon: 1e-6 }),
            kNorm: layers.fusedLayerNormalization({ epsilon: 1e-6 }),
          });
          const inputs = operands();
          tf.tidy(() => [own, wrapping].forEach((layer) => applied<tf.Tensor>(layer, inputs)));
          setDrawnWeights(own);
          wrapping.setWeights(own.getWeights());
          const names = (layer: tfl.layers.Layer) =>
            layer.weights.map((weight) => weight.originalName.slice(layer.name.length + 1));
          expect(names(own)).to.deep.equal(
            ['q_norm', 'k_norm'].flatMap((n) => [`${n}/gamma`, `${n}/beta`]),
          );
          expect(names(wrapping)).to.deep.equal(names(own));
          const want = await valuesOf(() => applied<tf.Tensor>(own, inputs));
          const got = await valuesOf(() => applied<tf.Tensor>(wrapping, inputs));
          expectClose('output', got, want, ROUNDED);
          tf.dispose(inputs);
          disposeLayers(own, wrapping);
        }
      }));

    it('tells a wrapped layer whether it is training', () =>
      withoutLeak(async () => {
        const none = layers.qkNormAttention({ norm: 'none' });
        const dropping = layers.qkNormAttention({
          norm: 'none',
          qNorm: tfl.layers.dropout({ rate: 0.5 }),
        });
        const inputs = operands();
        const run = (layer: tfl.layers.Layer, training: boolean) =>
          valuesOf(() => applied<tf.Tensor>(layer, inputs, { training }));
        const plain = await run(none, false);
        expectSameBits('not training', await run(dropping, false), plain);
        expect(Array.from(await run(dropping, true))).not.to.deep.equal(Array.from(plain));
        tf.dispose(inputs);
      }));

    it('takes float32 queries and keys with bfloat16 values, the mix that the op rejects', () =>
      withoutLeak(async () => {
        const layer = layers.qkNormAttention({ norm: 'rms', useGamma: false });
        const inputs = operands();
        const half = tf.tidy(() => toBFloat16(inputs[2]!));
        const mixed = [...inputs.slice(0, 2), half] as tf.Tensor[];
        expect(() => memoryEfficientAttention(...(mixed as [never, never, never]))).to.throw(
          TypeError,
          'qkNormAttention',
        );
        const got = await valuesOf(() => applied<tf.Tensor>(layer, mixed));
        expectSameBits('output', got, await valuesOf(() => applied<tf.Tensor>(layer, inputs)));
        tf.dispose([...inputs, half]);
      }));

    it('does not attend the padding of embedding({maskZero: true})', () =>
      withoutLeak(async () => {
        const tokens = tfl.input({ shape: [M] });
        const embedding = tfl.layers.embedding({ inputDim: 10, outputDim: 8, maskZero: true });
        const x = applied(embedding, tokens);
        const heads = [H, G, G].map((n) => projectHeads(x, M, n, K));
        const layer = layers.qkNormAttention({ causal: true });
        const model = tfl.model({ inputs: tokens, outputs: applied(layer, heads) });
        const ids = tf.tensor2d([...[3, 1, 0, 1, 5, 0, 2], ...[0, 7, 1, 8, 0, 8, 2]], [B, M]);
        const real = [0, 1, 3, 4, 6, 8, 9, 10, 12, 13];
        const rows = () =>
          valuesOf(() => tf.gather(tf.reshape(predict(model, ids), [B * M, H * K]), real));
        const before = await rows();
        tf.tidy(() => {
          const [table, ...rest] = model.getWeights() as [tf.Tensor, ...tf.Tensor[]];
          const noise = tf.tensor(drawTensor(960, [1, 8], 'float32', 50), [1, 8]);
          model.setWeights([tf.add(table, tf.concat([noise, tf.zeros([9, 8])])), ...rest]);
        });
        expectSameBits('output', await rows(), before);
        ids.dispose();
        model.dispose();
      }));
  });
}
