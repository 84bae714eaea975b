// SPDX-License-Identifier: Apache-2.0
/** layers.fusedLayerNormalization and fusedRMSNormalization: as tf.layers.layerNormalization is. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { applied, disposeLayers, predict, saveAndLoad, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { referenceNorm } from '../support/reference_norm.js';

const FORWARD = { kind: 'forward', dtype: 'float32' } as const;
const C = 16;

const inputValues = (shape: number[]) => drawTensor(900, shape, 'float32', 2, 0.5);
const input = (shape: number[]) => tf.tensor(inputValues(shape), shape);

/** gamma and beta of a norm of `shape`, not the initial ones. */
const weights = (shape: number[]) => [
  tf.tensor(drawTensor(901, shape, 'float32', 0.2, 1), shape),
  tf.tensor(drawTensor(902, shape, 'float32', 0.3, 0), shape),
];

export function suite(_backend: TestBackend): void {
  describe('normalization layers', function () {
    this.timeout(60000);

    for (const [from, to] of [
      ['tf.layers', 'ours'],
      ['ours', 'tf.layers'],
    ] as const) {
      it(`weights go from ${from} to ${to}, with equal outputs`, () =>
        withoutLeak(async () => {
          const args = { epsilon: 1e-3 };
          const make = {
            'tf.layers': () => tfl.layers.layerNormalization(args),
            ours: () => layers.fusedLayerNormalization(args),
          };
          const [a, b] = [make[from](), make[to]()];
          const x = input([3, 5, C]);
          tf.tidy(() => {
            applied<tf.Tensor>(a, x);
            applied<tf.Tensor>(b, x);
            a.setWeights(weights([C]));
            b.setWeights(a.getWeights());
          });
          expect(a.weights.map((weight) => weight.name.split('/').pop())).to.deep.equal(
            b.weights.map((weight) => weight.name.split('/').pop()),
          );
          const got = await valuesOf(() => applied<tf.Tensor>(b, x));
          expectClose('output', got, await valuesOf(() => applied<tf.Tensor>(a, x)), FORWARD);
          x.dispose();
          disposeLayers(a, b);
        }));
    }

    for (const axis of [1, [1, 2], [2, 1], -2]) {
      it(`axis ${JSON.stringify(axis)} as in tf.layers`, () =>
        withoutLeak(async () => {
          const theirs = tfl.layers.layerNormalization({
            axis: Array.isArray(axis) ? [...axis] : axis,
          });
          const ours = layers.fusedLayerNormalization({ axis });
          const x = input([3, 4, 6]);
          tf.tidy(() => {
            applied<tf.Tensor>(ours, x);
            applied<tf.Tensor>(theirs, x);
            const [gamma] = theirs.getWeights() as [tf.Tensor];
            theirs.setWeights(weights(gamma.shape));
            ours.setWeights(theirs.getWeights());
          });
          const got = await valuesOf(() => applied<tf.Tensor>(ours, x));
          expectClose('output', got, await valuesOf(() => applied<tf.Tensor>(theirs, x)), FORWARD);
          x.dispose();
          disposeLayers(ours, theirs);
        }));
    }

    it('RMS with weightOffset 1 starts as the plain norm and follows its gamma', () =>
      withoutLeak(async () => {
        const layer = layers.fusedRMSNormalization({ weightOffset: 1 });
        const x = input([3, 5, C]);
        const problem = {
          rows: 15,
          channels: C,
          x: inputValues([3, 5, C]),
          rms: true,
          epsilon: 1e-6,
        };
        const before = await valuesOf(() => applied<tf.Tensor>(layer, x));
        expectClose('before', before, referenceNorm(problem).output, FORWARD);
        const gamma = drawTensor(903, [C], 'float32', 0.2, 0);
        tf.tidy(() => layer.setWeights([tf.tensor(gamma)]));
        const after = await valuesOf(() => applied<tf.Tensor>(layer, x));
        const reference = referenceNorm({ ...problem, gamma, weightOffset: 1 });
        expectClose('after', after, reference.output, FORWARD);
        x.dispose();
        disposeLayers(layer);
      }));

    it('a saved model of both norms loads with the same outputs', () =>
      withoutLeak(async () => {
        const model = tfl.sequential({
          layers: [
            layers.fusedLayerNormalization({ inputShape: [5, C], epsilon: 1e-4, center: false }),
            layers.fusedRMSNormalization({ weightOffset: 1, gammaRegularizer: 'l2' }),
          ],
        });
        tf.tidy(() => model.setWeights([weights([C])[0]!, weights([C])[1]!]));
        const loaded = await saveAndLoad(model);
        const x = input([3, 5, C]);
        const want = await valuesOf(() => predict(model, x));
        expectSameBits('output', await valuesOf(() => predict(loaded, x)), want);
        const config = loaded.layers[0]!.getConfig();
        expect([config['epsilon'], config['center']]).to.deep.equal([1e-4, false]);
        x.dispose();
        model.dispose();
        loaded.dispose();
      }));
  });
}
