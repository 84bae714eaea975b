// SPDX-License-Identifier: Apache-2.0
/** The training example: what a step does, that checkpoints continue exactly, that nothing leaks, sampling. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';

import { loadBackend } from '../../examples/node-training/backend.js';
import { restore, takeCheckpoint } from '../../examples/node-training/checkpoint.js';
import type { Checkpoint } from '../../examples/node-training/checkpoint.js';
import {
  lastCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../examples/node-training/checkpoint_files.js';
import { makeCorpus } from '../../examples/node-training/corpus.js';
import { generate } from '../../examples/node-training/generate.js';
import { STRATEGIES } from '../../examples/node-training/settings.js';
import type { Settings } from '../../examples/node-training/settings.js';
import { Trainer } from '../../examples/node-training/trainer.js';
import { seededRandom } from '../../examples/shared/random.js';
import { UsageError } from '../../examples/shared/usage.js';
import { withoutLeak } from '../support/leaks.js';
import { sentences, smallSettings } from './training_text.js';

/** So short that a dozen steps are more than an epoch. */
const text = sentences(15);
const FILE = { path: 'text', sha256: 'none' };

const made: Trainer[] = [];
function trainerOf(settings: Settings): Trainer {
  const trainer = new Trainer(settings, makeCorpus(text, settings));
  made.push(trainer);
  return trainer;
}

async function steps(trainer: Trainer, count: number): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < count; i++) losses.push((await trainer.step()).loss);
  return losses;
}

function checkpointOf(trainer: Trainer): Promise<Checkpoint> {
  return takeCheckpoint(trainer, makeCorpus(text, trainer.settings).tokenizer, FILE);
}

/** All of a checkpoint in a form that is equal only if every bit is. */
function bitsOf({ state, model, moments }: Checkpoint) {
  const weights = Buffer.from(model.weightData as ArrayBuffer).toString('hex');
  return { state, weights, moments: Buffer.from(moments.buffer).toString('hex') };
}

describe('the training example', function () {
  this.timeout(120_000);
  let folder = '';

  before(async () => {
    await loadBackend('tfjs-node');
    folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-training-'));
  });
  afterEach(() => made.splice(0).forEach((trainer) => trainer.dispose()));
  after(() => rm(folder, { recursive: true }));

  for (const strategy of STRATEGIES) {
    it(`${strategy}: twelve steps are six, a checkpoint on disk, and six, bit for bit`, async () => {
      const settings = smallSettings('--dtype', strategy, '--accumulate', '2');
      const whole = trainerOf(settings);
      const losses = await steps(whole, 12);
      const first = trainerOf(settings);
      const firstLosses = await steps(first, 6);
      const out = path.join(folder, strategy);
      await writeCheckpoint(out, await checkpointOf(first), 2);
      const second = trainerOf({ ...settings, seed: 99 });
      restore(second, await readCheckpoint((await lastCheckpoint(out))!));
      expect([...firstLosses, ...(await steps(second, 6))]).to.deep.equal(losses);
      const [want, got] = [bitsOf(await checkpointOf(whole)), bitsOf(await checkpointOf(second))];
      expect(want.state.order.epoch).not.to.equal(settings.seed);
      expect({ ...got, state: { ...got.state, settings } }).to.deep.equal(want);
      expect(losses.at(-1)).to.be.below(losses[0]! - 0.5);
    });
  }

  it('a checkpoint is a model that tf.loadLayersModel takes', async () => {
    const trainer = trainerOf(smallSettings());
    await steps(trainer, 2);
    const { model } = await readCheckpoint(
      await writeCheckpoint(path.join(folder, 'model'), await checkpointOf(trainer), 2),
    );
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(model));
    const tokens = tf.tensor2d([1, 2, 3, 4], [1, 4], 'int32');
    const [want, got] = [trainer.model, loaded].map((each) => each.predict(tokens) as tf.Tensor);
    expect(await got!.data()).to.deep.equal(await want!.data());
    tf.dispose([tokens, want!, got!]);
    loaded.dispose();
  });

  it('keeps the last checkpoints, and refuses what is none', async () => {
    const trainer = trainerOf(smallSettings());
    const out = path.join(folder, 'kept');
    expect(await lastCheckpoint(out)).to.equal(undefined);
    for (let i = 0; i < 3; i++) {
      await trainer.step();
      await writeCheckpoint(out, await checkpointOf(trainer), 2);
    }
    expect((await readdir(out)).sort()).to.deep.equal(['step-000002', 'step-000003']);
    await writeFile(path.join(out, 'step-000003', 'state.json'), '{');
    const error: unknown = await readCheckpoint(path.join(out, 'step-000003')).catch(
      (reason: unknown) => reason,
    );
    expect(error)
      .to.be.instanceOf(UsageError)
      .with.property('message')
      .that.matches(/step-000003/);
  });

  it('two batches accumulated are one batch of twice the size', async () => {
    const whole = trainerOf(smallSettings('--batch', '4', '--clip', '0'));
    const halves = trainerOf(smallSettings('--batch', '2', '--accumulate', '2', '--clip', '0'));
    const [a, b] = [await whole.step(), await halves.step()];
    expect(b.loss).to.be.closeTo(a.loss, 1e-5);
    expect(b.gradientNorm).to.be.closeTo(a.gradientNorm, 1e-4 * a.gradientNorm);
    const [m, n] = [await whole.optimizer.mean.data(), await halves.optimizer.mean.data()];
    m.forEach((value, index) => expect(n[index]).to.be.closeTo(value, 1e-5));
  });

  it('clips by the norm of all gradients together', async () => {
    const [free, clipped] = ['0', '0.125'].map((clip) => trainerOf(smallSettings('--clip', clip)));
    const { gradientNorm } = await free!.step();
    expect((await clipped!.step()).gradientNorm).to.equal(gradientNorm);
    const length = async ({ optimizer }: Trainer) => Math.hypot(...(await optimizer.mean.data()));
    // The mean is a tenth of the first gradient.
    expect(await length(free!)).to.be.closeTo(gradientNorm / 10, 1e-4 * gradientNorm);
    expect(gradientNorm).to.be.above(0.125);
    expect(await length(clipped!)).to.be.closeTo(0.0125, 1e-5);
  });

  it('weight decay is decoupled, on matrices and the embedding, not on norms', async () => {
    const settings = smallSettings('--warm-up', '0');
    const decayed = trainerOf({ ...settings, weightDecay: 0.5 });
    const plain = trainerOf({ ...settings, weightDecay: 0 });
    const before = await Promise.all(plain.weights.map((weight) => weight.data()));
    const { learningRate } = await decayed.step();
    await plain.step();
    const ranks = new Set<boolean>();
    for (const [index, { rank }] of plain.weights.entries()) {
      const [a, b] = [await decayed.weights[index]!.data(), await plain.weights[index]!.data()];
      const share = rank > 1 ? 0.5 * learningRate : 0;
      ranks.add(rank > 1);
      a.forEach((value, at) => {
        expect(value - b[at]!).to.be.closeTo(-share * before[index]![at]!, 1e-6);
      });
    }
    expect(ranks.size).to.equal(2);
  });

  it('keeps no tensor from step to step, in evaluation and in sampling', async () => {
    const settings = smallSettings('--accumulate', '2', '--dtype', 'cast-output');
    const trainer = trainerOf(settings);
    await trainer.step();
    await withoutLeak(async () => {
      await steps(trainer, 5);
      await trainer.evaluate();
      await checkpointOf(trainer);
      const { model } = trainer;
      const more = { count: 40, temperature: 1, topK: 5, random: seededRandom(1) };
      for await (const token of generate({ model, context: 16, prompt: [1], ...more })) {
        if (token < 0) break;
      }
    });
  });

  it('samples with the cache what the whole sequence gives', async () => {
    const trainer = trainerOf(smallSettings());
    await steps(trainer, 4);
    const { model } = trainer;
    const tokens = [1, 2, 3];
    const sampling = { model, context: 16, prompt: tokens, count: 13, temperature: 0, topK: 1 };
    const written: number[] = [];
    for await (const token of generate({ ...sampling, random: seededRandom(1) })) {
      written.push(token);
    }
    const whole = [...tokens];
    for (let i = 0; i < 13; i++) {
      const next = tf.tidy(() => {
        const logits = model.predict(tf.tensor2d([whole], [1, whole.length], 'int32')) as tf.Tensor;
        return tf.argMax(tf.slice(logits, [0, whole.length - 1, 0], [1, 1, -1]), 2);
      });
      whole.push((await next.data())[0]!);
      next.dispose();
    }
    expect(written).to.deep.equal(whole.slice(3));
  });
});
