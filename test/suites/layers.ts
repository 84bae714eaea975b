// SPDX-License-Identifier: Apache-2.0
/** The norm layers: values, weights shared with tf.layers, saving, training. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { draw } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';
import { referenceNorm } from '../support/reference_norm.js';

const [ROWS, CHANNELS] = [6, 24];
const FORWARD = { kind: 'forward', dtype: 'float32' } as const;

type Layer = Parameters<tfl.Sequential['add']>[0];

async function readAndFree(x: tf.Tensor): Promise<Float32Array> {
  const values = (await x.data()) as Float32Array;
  x.dispose();
  return values;
}

function input(): tf.Tensor {
  return tf.tensor(draw(1, ROWS * CHANNELS), [ROWS, CHANNELS]);
}

/** A model of the layer alone, with drawn weights. */
function modelOf(layer: Layer): tfl.Sequential {
  const model = tfl.sequential();
  model.add(tfl.layers.inputLayer({ inputShape: [CHANNELS] }));
  model.add(layer);
  tf.tidy(() => model.setWeights(layer.weights.map((_, n) => tf.tensor(draw(2 + n, CHANNELS)))));
  return model;
}

/** The prediction of a model for `input()`. */
function predict(model: tfl.LayersModel): Promise<Float32Array> {
  return readAndFree(tf.tidy(() => model.predict(input()) as tf.Tensor));
}

export function suite(_backend: TestBackend): void {
  describe('layers', function () {
    this.timeout(60000);

    it('fusedLayerNormalization has the values, weights and defaults of layerNormalization', async () => {
      await withoutLeak(async () => {
        const ours = modelOf(layers.fusedLayerNormalization());
        const theirs = modelOf(tfl.layers.layerNormalization());
        expect(ours.weights.map(({ shape }) => shape)).to.deep.equal([[CHANNELS], [CHANNELS]]);
        theirs.setWeights(ours.getWeights());
        expectClose('output', await predict(ours), await predict(theirs), FORWARD);
        ours.setWeights(theirs.getWeights());
        expectClose('output', await predict(ours), await predict(theirs), FORWARD);
        ours.dispose();
        theirs.dispose();
      });
    });

    it('fusedRMSNormalization norms by the root mean square', async () => {
      await withoutLeak(async () => {
        const model = modelOf(layers.fusedRMSNormalization({ epsilon: 1e-5, weightOffset: 1 }));
        const want = referenceNorm({
          rows: ROWS,
          channels: CHANNELS,
          x: draw(1, ROWS * CHANNELS),
          gamma: draw(2, CHANNELS),
          rms: true,
          epsilon: 1e-5,
          weightOffset: 1,
        });
        expectClose('output', await predict(model), want.output, FORWARD);
        model.dispose();
      });
    });

    const makers: [string, () => Layer][] = [
      ['fusedLayerNormalization', () => layers.fusedLayerNormalization({ epsilon: 1e-4 })],
      ['fusedRMSNormalization', () => layers.fusedRMSNormalization({ weightOffset: 1 })],
    ];
    for (const [name, make] of makers) {
      it(`${name} is saved and loaded with its weights`, async () => {
        await withoutLeak(async () => {
          const model = modelOf(make());
          let saved: tf.io.ModelArtifacts | null = null;
          await model.save(
            tf.io.withSaveHandler((artifacts) => {
              saved = artifacts;
              return Promise.resolve({
                modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts),
              });
            }),
          );
          const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved!));
          expectClose('output', await predict(loaded), await predict(model), FORWARD);
          model.dispose();
          loaded.dispose();
        });
      });

      it(`${name} trains in model.fit`, async () => {
        const model = modelOf(make());
        model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
        const [x, y] = [input(), tf.tensor(draw(9, ROWS * CHANNELS), [ROWS, CHANNELS])];
        const { history } = await model.fit(x, y, { epochs: 5, batchSize: ROWS, verbose: 0 });
        const losses = history['loss'] as number[];
        expect(losses[4]).to.be.below(losses[0]!);
        tf.dispose([x, y]);
        model.dispose();
      });
    }
  });
}
