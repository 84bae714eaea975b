// SPDX-License-Identifier: Apache-2.0
/** layers.multiHeadAttention in models: gradients, training, freezing, and saving by every handler there is. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { drawTensor } from '../support/draw.js';
import { applied, disposeLayers, predict, saveAndLoad, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { H, K, builtLayer, drawn, reference, tensorsOf } from '../support/multi_head_cases.js';

const [B, M, C] = [2, 5, 8];
const x = drawn(1600, [B, M, C]);
const SIZES = { numHeads: H, keyDim: K };

/** Every layer of this package on embedded tokens, some of which are padding. */
function everything(): tfl.LayersModel {
  const tokens = tfl.input({ shape: [M] });
  const embedding = tfl.layers.embedding({ inputDim: 9, outputDim: C, maskZero: true });
  const attention = layers.multiHeadAttention({
    ...{ ...SIZES, name: 'attention', causal: true, numKvHeads: 2, castTo: 'bfloat16' },
    ...{ qkNorm: { norm: 'rms', epsilon: 1e-5 }, rope: { base: 1e6, dim: 8 }, dropout: 0.1 },
  });
  const normed = applied(layers.fusedLayerNormalization(), applied(embedding, tokens));
  const attended = applied(layers.fusedRMSNormalization(), applied(attention, normed));
  const heads = applied(tfl.layers.reshape({ targetShape: [M, 1, C] }), attended);
  const normArgs = { norm: 'l2', rope: true, scale: 4, castTo: 'float32' } as const;
  const plain = layers.memoryEfficientAttention({ causal: true, windowSize: 3 });
  const third = applied(plain, [heads, heads, heads]);
  const last = applied(layers.qkNormAttention(normArgs), [third, third, third]);
  return tfl.model({ inputs: tokens, outputs: last });
}

/** The configurations of this package's layers, what is left out as null. */
function ownConfigs(model: tfl.LayersModel): unknown[] {
  const classes = Object.values(layers) as unknown[];
  const own = model.layers.filter((layer) => classes.includes(layer.constructor));
  expect(own.length).to.equal(5);
  const nullFor = (_name: string, value: unknown) => value ?? null;
  return own.map((layer) => JSON.parse(JSON.stringify(layer.getConfig(), nullFor)) as unknown);
}

const ids = () => tf.tensor2d([...[3, 1, 0, 5, 8], ...[7, 0, 0, 2, 1]], [B, M]);

/** Where this backend's models can be saved to, besides memory, and how to remove what was saved. */
function places({ where, name }: TestBackend): [url: string, remove: () => Promise<void>][] {
  if (where === 'chromium') {
    return ['indexeddb', 'localstorage'].map((scheme) => {
      const url = `${scheme}://tfjs-xformers-test`;
      return [url, async () => void (await tf.io.removeModel(url))];
    });
  }
  if (name !== 'tensorflow') return [];
  const [fs, os, path] = [
    process.getBuiltinModule('fs'),
    process.getBuiltinModule('os'),
    process.getBuiltinModule('path'),
  ];
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfjs-xformers-model-'));
  return [[`file://${folder}`, () => fs.promises.rm(folder, { recursive: true })]];
}

export function suite(backend: TestBackend): void {
  describe('multi-head attention layer in training', function () {
    this.timeout(180000);

    itUnless(repeated(backend), 'has the gradients of its definition in all weights', () =>
      withoutLeak(async () => {
        const args = { ...SIZES, causal: true, rope: true, qkNorm: 'rms', numKvHeads: 2 } as const;
        const { layer, weights } = builtLayer(args, x);
        const factors = drawTensor(1601, [B * M * C]);
        const loss = (values: readonly Float32Array[], input: Float32Array): number => {
          const more = {
            norm: { norm: 'rms' },
            rotary: {},
            mayAttend: (_b: number, i: number, j: number) => j <= i,
          } as const;
          const output = reference(layer, values, [{ ...x, values: input }], more);
          return output.reduce((sum, y, i) => sum + y * factors[i]!, 0);
        };
        const [tensor, factor] = [...tensorsOf(x), tf.tensor(factors, [B, M, C])];
        const { grads } = tf.tidy(() => {
          const f = () => tf.sum(tf.mul(applied<tf.Tensor>(layer, tensor!), factor!)) as tf.Scalar;
          const made = tf.variableGrads(f, layer.weights.map((w) => w.read()) as tf.Variable[]);
          return { grads: Object.values(made.grads) };
        });
        // In a few random directions: one number for all entries of a tensor at once.
        for (const [index, gradient] of grads.entries()) {
          const direction = drawTensor(1610 + index, gradient.shape);
          const got = ((await gradient.data()) as Float32Array).reduce(
            (sum, g, i) => sum + g * direction[i]!,
            0,
          );
          const moved = (by: number) =>
            weights.map((values, at) =>
              at === index ? values.map((v, i) => Math.fround(v + by * direction[i]!)) : values,
            );
          const step = 2 ** -10;
          const want = (loss(moved(step), x.values) - loss(moved(-step), x.values)) / (2 * step);
          const size = Math.sqrt(gradient.size) * 10;
          expect(Math.abs(got - want), layer.weights[index]!.name).to.be.below(2e-3 * size);
        }
        tf.dispose([tensor!, factor!, ...grads]);
        disposeLayers(layer);
      }),
    );

    for (const castTo of ['float32', 'bfloat16'] as const) {
      const reason = repeated(backend, castTo === 'float32');
      itUnless(reason, `learns in model.fit, all weights: ${castTo}`, () =>
        withoutLeak(async () => {
          const args = {
            ...SIZES,
            castTo,
            qkNorm: { norm: 'rms' },
            rope: true,
            causal: true,
          } as const;
          const input = tfl.input({ shape: [M, C] });
          const dropout = castTo === 'bfloat16' ? 0.1 : 0;
          const layer = layers.multiHeadAttention({ ...args, dropout, seed: 1 });
          const model = tfl.model({ inputs: input, outputs: applied(layer, input) });
          const optimizer = tf.train.adam(0.02);
          model.compile({ optimizer, loss: 'meanSquaredError' });
          const tensor = tensorsOf(x)[0]!;
          const before = await Promise.all(model.getWeights().map((weight) => weight.data()));
          const { history } = await model.fit(tensor, tensor, {
            epochs: 4,
            batchSize: B,
            verbose: 0,
          });
          const losses = history['loss'] as number[];
          expect(losses.at(-1)).to.be.below(losses[0]!);
          const after = await Promise.all(model.getWeights().map((weight) => weight.data()));
          // A key's bias adds the same to all scores of a query, but it is turned and normed here.
          before.forEach((values, index) => {
            const name = layer.weights[index]!.name;
            expect(Array.from(after[index]!), name).not.to.deep.equal(Array.from(values));
          });
          tensor.dispose();
          optimizer.dispose();
          model.dispose();
        }),
      );
    }

    it('has finite gradients beside padding, and none in a sequence of nothing else', () =>
      withoutLeak(async () => {
        const masked = { causal: true, castTo: 'bfloat16' } as const;
        const { layer } = builtLayer({ ...SIZES, ...masked, useBias: false }, x);
        const [tensor] = tensorsOf(x);
        const mask = tf.tensor2d([...[1, 0, 1, 1, 0], ...[0, 0, 0, 0, 0]], [B, M], 'bool');
        const gradient = await valuesOf(() =>
          tf.grad((input: tf.Tensor) =>
            tf.sum(tf.square(applied<tf.Tensor>(layer, input, { mask }))),
          )(tensor!),
        );
        expect(gradient.every(Number.isFinite)).to.be.true;
        expect(gradient.slice(0, C).some((v) => v !== 0)).to.be.true;
        expect(gradient.slice(M * C).every((v) => v === 0)).to.be.true;
        tf.dispose([tensor!, mask]);
        disposeLayers(layer);
      }));

    it('keeps all weights as they are when it is not trainable, in their order', () =>
      withoutLeak(() => {
        const { layer } = builtLayer({ ...SIZES, qkNorm: 'layer', trainable: false }, x);
        const names = layer.weights.map((weight) => weight.originalName);
        expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).to.eql([0, 12]);
        layer.trainable = true;
        expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).to.eql([12, 0]);
        layer.trainableWeights[0]!.trainable = false;
        expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).to.eql([11, 1]);
        expect(layer.weights.map((weight) => weight.originalName)).to.deep.equal(names);
        disposeLayers(layer);
      }));

    it('regularizers count, constraints hold', () =>
      withoutLeak(async () => {
        const input = tfl.input({ shape: [M, C] });
        const layer = layers.multiHeadAttention({
          ...SIZES,
          kernelRegularizer: 'l2',
          kernelConstraint: tfl.constraints.nonNeg(),
        });
        const model = tfl.model({ inputs: input, outputs: applied(layer, input) });
        const losses = model.calculateLosses();
        expect(losses.length).to.equal(4);
        const values = await Promise.all(losses.map((loss) => loss.data()));
        expect(Math.min(...values.map(([value]) => value!))).to.be.above(0);
        tf.dispose(losses);
        const kernel = tf.fill([C, H, K], -1);
        // tfjs leaves a constraint's tensor to a tidy.
        tf.tidy(() => void layer.weights[0]!.write(kernel));
        expect((await layer.weights[0]!.read().data()).every((v) => v === 0)).to.be.true;
        kernel.dispose();
        model.dispose();
      }));

    it('a model with every layer is the same after it was saved and loaded', () =>
      withoutLeak(async () => {
        const model = everything();
        tf.tidy(() => {
          const drawnWeights = model.weights.map(({ shape }, index) => {
            const values = drawTensor(1620 + index, shape as number[], 'float32', 0.3, 0.5);
            return tf.tensor(values, shape as number[]);
          });
          model.setWeights(drawnWeights);
        });
        const names = model.weights.map((weight) => weight.originalName);
        expect(new Set(names).size).to.equal(names.length);
        const tokens = ids();
        const want = await valuesOf(() => predict(model, tokens));
        const check = async (loaded: tfl.LayersModel): Promise<void> => {
          expectSameBits('output', await valuesOf(() => predict(loaded, tokens)), want);
          expect(ownConfigs(loaded)).to.deep.equal(ownConfigs(model));
          expect(loaded.weights.map((weight) => weight.originalName)).to.deep.equal(names);
          loaded.dispose();
        };
        await check(await saveAndLoad(model));
        for (const [url, remove] of places(backend)) {
          await model.save(url);
          const file = url.startsWith('file://') ? `${url}/model.json` : url;
          await check(await tfl.loadLayersModel(file));
          await remove();
        }
        tokens.dispose();
        model.dispose();
      }));
  });
}
