// SPDX-License-Identifier: Apache-2.0
/** layers.qkNormAttention in a model: trained, frozen, saved and loaded. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { QKNormAttentionArgs } from '../../src/layers/qk_norm_attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectSameBits } from '../support/close.js';
import { itUnless, repeated } from '../support/cost.js';
import { drawTensor } from '../support/draw.js';
import { applied, predict, projectHeads, saveAndLoad, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';

const [B, M, H, K] = [2, 7, 2, 16];
const FEATURES = 8;

/** Projections, attention, and a dense layer back to the input's size. */
function attentionModel(args: QKNormAttentionArgs): tfl.LayersModel {
  const x = tfl.input({ shape: [M, FEATURES] });
  const heads = [0, 1, 2].map(() => projectHeads(x, M, H, K));
  const attended = applied(layers.qkNormAttention({ name: 'attention', ...args }), heads);
  const flat = applied(tfl.layers.reshape({ targetShape: [M, H * K] }), attended);
  return tfl.model({ inputs: x, outputs: applied(tfl.layers.dense({ units: FEATURES }), flat) });
}

const batch = (seed: number) => tf.tensor(drawTensor(seed, [B, M, FEATURES]), [B, M, FEATURES]);

/** The values of all weights of the attention layer, by their names in it. */
async function weightsOf(model: tfl.LayersModel): Promise<Map<string, number[]>> {
  const layer = model.getLayer('attention');
  const values = new Map<string, number[]>();
  for (const weight of layer.weights) {
    const name = weight.originalName.replace('attention/', '');
    values.set(name, Array.from(await weight.read().data()));
  }
  return values;
}

const wrapped = (): QKNormAttentionArgs => ({
  qNorm: tfl.layers.layerNormalization({ epsilon: 1e-5 }),
  kNorm: layers.fusedRMSNormalization({ weightOffset: 1 }),
});

export function suite(backend: TestBackend): void {
  describe('QK-norm attention layer in training', function () {
    this.timeout(60000);

    for (const castStrategy of ['output', 'weights'] as const) {
      const reason = repeated(backend, castStrategy === 'output');
      itUnless(
        reason,
        `learns in model.fit, the norms' weights too: castStrategy ${castStrategy}`,
        () =>
          withoutLeak(async () => {
            const model = attentionModel({ causal: true, castStrategy, dropout: 0.1, seed: 1 });
            const optimizer = tf.train.sgd(0.5);
            model.compile({ optimizer, loss: 'meanSquaredError' });
            const [x, y] = [batch(970), batch(971)];
            const before = await weightsOf(model);
            const { history } = await model.fit(x, y, { epochs: 4, batchSize: B, verbose: 0 });
            const losses = history['loss'] as number[];
            expect(losses.at(-1)).to.be.below(losses[0]!);
            const after = await weightsOf(model);
            expect([...after.keys()]).to.deep.equal(
              ['q_norm', 'k_norm'].flatMap((norm) => [`${norm}/gamma`, `${norm}/beta`]),
            );
            // A key's beta adds the same to all scores of a query: the softmax does not see it.
            for (const name of ['q_norm/gamma', 'q_norm/beta', 'k_norm/gamma']) {
              expect(after.get(name), name).not.to.deep.equal(before.get(name));
            }
            tf.dispose([x, y]);
            optimizer.dispose();
            model.dispose();
          }),
      );
    }

    it('has finite gradients beside padding, and none from padded keys', () =>
      withoutLeak(async () => {
        const layer = layers.qkNormAttention({ norm: 'rms', useGamma: false, causal: true });
        const shape: [number, number, number, number] = [B, M, H, K];
        const [q, k, v] = [0, 1, 2].map((i) => tf.tensor(drawTensor(985 + i, shape), shape));
        const mask = tf.tensor2d([0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0], [B, M], 'bool');
        const gradients = tf.tidy(() =>
          tf.grads((...inputs: tf.Tensor[]) =>
            tf.sum(tf.square(applied(layer, inputs, { mask: [null, mask, null] }))),
          )([q!, k!, v!]),
        );
        const values = await Promise.all(gradients.map((gradient) => gradient.data()));
        for (const gradient of values) {
          expect(Array.from(gradient).every(Number.isFinite)).to.be.true;
          expect(Array.from(gradient).some((x) => x !== 0)).to.be.true;
        }
        // Key 0 of the first sequence is padding, and the second sequence is nothing else.
        for (const gradient of values.slice(1)) {
          expect(gradient.slice(0, H * K).every((x) => x === 0)).to.be.true;
        }
        for (const gradient of values) {
          expect(gradient.slice(M * H * K).every((x) => x === 0)).to.be.true;
        }
        tf.dispose([q!, k!, v!, mask, ...gradients]);
      }));

    it('keeps its norms as they are when it is not trainable', () =>
      withoutLeak(async () => {
        // Not tf.layers' norm: its gradient is thousands of dispatches.
        const args = { ...wrapped(), qNorm: layers.fusedLayerNormalization() };
        const model = attentionModel({ trainable: false, ...args });
        const layer = model.getLayer('attention');
        expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).to.eql([0, 3]);
        layer.trainable = true;
        expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).to.eql([3, 0]);
        layer.trainable = false;
        model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
        const [x, y] = [batch(972), batch(973)];
        const before = await weightsOf(model);
        await model.fit(x, y, { epochs: 1, batchSize: B, verbose: 0 });
        expect(await weightsOf(model)).to.deep.equal(before);
        tf.dispose([x, y]);
        model.dispose();
      }));

    for (const [title, args] of [
      ['built-in norms', () => ({ norm: 'rms', perHead: false, scale: 0.1, windowSize: 3 })],
      ['wrapped norms', wrapped],
    ] as const) {
      it(`a saved model loads with the same outputs: ${title}`, () =>
        withoutLeak(async () => {
          const model = attentionModel(args() as QKNormAttentionArgs);
          tf.tidy(() => {
            const drawn = model.weights.map(({ shape }, index) =>
              tf.tensor(
                drawTensor(980 + index, shape as number[], 'float32', 0.3, 0.5),
                shape as number[],
              ),
            );
            model.setWeights(drawn);
          });
          const loaded = await saveAndLoad(model);
          const x = batch(974);
          const want = await valuesOf(() => predict(model, x));
          expectSameBits('output', await valuesOf(() => predict(loaded, x)), want);
          const [saved, read] = [model, loaded].map((m) => m.getLayer('attention').getConfig());
          expect(read).to.deep.equal(saved);
          expect(await weightsOf(loaded)).to.deep.equal(await weightsOf(model));
          x.dispose();
          model.dispose();
          loaded.dispose();
        }));
    }

    it('a topology alone makes a model that takes the weights', () =>
      withoutLeak(async () => {
        const model = attentionModel(wrapped());
        const made = await tfl.models.modelFromJSON(model.toJSON(null, false) as never);
        tf.tidy(() => made.setWeights(model.getWeights()));
        const x = batch(975);
        const want = await valuesOf(() => predict(model, x));
        expectSameBits('output', await valuesOf(() => predict(made, x)), want);
        x.dispose();
        model.dispose();
        made.dispose();
      }));
  });
}
