// SPDX-License-Identifier: Apache-2.0
/** The examples of models learn what they are to learn, and leave no tensor behind. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';

import { gemma3Form, qwen3Form } from '../../examples/models/decoder/config.js';
import { generate } from '../../examples/models/decoder/generate.js';
import { buildDecoder } from '../../examples/models/decoder/model.js';
import { evaluateDecoder, trainDecoder } from '../../examples/models/decoder/train.js';
import { characters, decode, encode, text } from '../../examples/models/decoder/verses.js';
import { trainEncoder } from '../../examples/models/encoder/train.js';
import { disposeModel } from '../../examples/models/layers/apply.js';
import { drawWeights } from '../../examples/models/layers/draw_weights.js';
import { CLASSES, makePictures } from '../../examples/models/vision/pictures.js';
import { trainVision } from '../../examples/models/vision/train.js';
import { skip } from '../support/report.js';
import { withoutLeak } from '../support/leaks.js';
import { onBackends } from './backends.js';

const SIZES = {
  ...{ vocabulary: characters.length, width: 32, mlpWidth: 64, headDim: 8 },
  ...{ heads: 4, kvHeads: 2, layers: 2 },
};
const FORMS = {
  'Qwen3 form': qwen3Form(SIZES),
  'Gemma 3 form': gemma3Form(SIZES, { windowSize: 8, every: 2 }),
};
const SLOW = 'in plain JavaScript it takes minutes';

onBackends('models that train', (backend) => {
  for (const [name, config] of Object.entries(FORMS)) {
    it(`a decoder in the ${name} learns a verse by heart and goes on with it`, function () {
      if (backend === 'cpu' && name === 'Qwen3 form')
        skip(this, 'the Gemma 3 form has all parts of it');
      return withoutLeak(async () => {
        const model = drawWeights(buildDecoder(config, { castTo: 'bfloat16' }), 5);
        const verse = text.slice(0, 25);
        const batch = [encode(verse)];
        const before = await evaluateDecoder(model, batch);
        // No better than chance, at first.
        expect(before).to.be.within(
          0.7 * Math.log(SIZES.vocabulary),
          2 * Math.log(SIZES.vocabulary),
        );
        await trainDecoder(model, { steps: 80, learningRate: 1e-2, nextBatch: () => batch });
        expect(await evaluateDecoder(model, batch)).to.be.below(0.2);
        const written = [];
        for await (const token of generate(model, encode('This is t'), { maxTokens: 16 })) {
          written.push(token);
        }
        expect(`This is t${decode(written)}`).to.equal(verse);
        disposeModel(model);
      });
    });
  }

  it('a vision transformer tells shapes apart', function () {
    if (backend === 'cpu') skip(this, SLOW);
    return withoutLeak(async () => {
      const losses: number[] = [];
      const onEpoch = (_: number, loss: number) => losses.push(loss);
      const accuracy = await trainVision({ epochs: 4, seed: 1, onEpoch });
      expect(losses).to.have.length(4);
      expect(losses[0]).to.be.above(2 * losses[3]!);
      expect(accuracy).to.be.above(0.8);
    });
  });

  it('pictures are the same ones for the same seed, as many of each class', () =>
    withoutLeak(async () => {
      const count = 2 * CLASSES.length;
      const all = [3, 3, 4].map((seed) => makePictures(count, 16, seed));
      const images = await Promise.all(all.map((each) => each.images.data()));
      expect(images[0]).to.deep.equal(images[1]);
      expect(images[0]).to.not.deep.equal(images[2]);
      const perClass = tf.sum(all[0]!.labels, 0);
      expect(Array.from(await perClass.data())).to.deep.equal(CLASSES.map(() => 2));
      perClass.dispose();
      for (const { images: pixels, labels } of all) {
        pixels.dispose();
        labels.dispose();
      }
    }));

  it('an encoder finds a letter among others, past padding', function () {
    if (backend === 'cpu') skip(this, SLOW);
    return withoutLeak(async () => {
      const accuracy = await trainEncoder({ epochs: 6, seed: 1 });
      expect(accuracy).to.be.above(0.9);
    });
  });
});
