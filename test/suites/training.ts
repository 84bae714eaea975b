// SPDX-License-Identifier: Apache-2.0
/** Training with fused ops and with plain ones, on the model of the quickstart: the losses are the same. */
import { expect } from 'chai';

import { fusedKernels } from '../../examples/quickstart/fused.js';
import type { Kernels } from '../../examples/quickstart/kernels.js';
import { plainKernels } from '../../examples/quickstart/plain.js';
import { makeCorpus, randomBatches } from '../../examples/quickstart/text.js';
import { Trainer } from '../../examples/quickstart/train.js';
import type { Batch } from '../../examples/shared/batches.js';
import { learningRateAt } from '../../examples/shared/learning_rate.js';
import type { TestBackend } from '../support/backends.js';
import { withoutLeak } from '../support/leaks.js';

const STEPS = 30;
const ROWS = 2;
const CONTEXT = 24;
const SEED = 11;
const LEARNING_RATE = 1e-2;

/** Of float32 attention: what the order of sums leaves. */
const FLOAT32_BOUND = 1e-3;

/**
 * Of bfloat16 attention: query, key and value are off by up to 2^-8 of their size, and so is what
 * each step learns from them.
 */
const BFLOAT16_BOUND = 5e-3;

const text = `
Norms and attention are most of what a transformer does besides its products, and most of what it
keeps for the gradient. One kernel for each of them reads its inputs once and writes its outputs
once. The losses of a model that learns this text have to come out the same with either.
`.repeat(3);

const corpus = makeCorpus(text, CONTEXT);

const config = {
  vocabulary: corpus.characters.length,
  context: CONTEXT,
  width: 16,
  heads: 2,
  blocks: 1,
};

function batches(): Batch[] {
  const drawn = randomBatches(corpus.training, ROWS, CONTEXT, SEED);
  return Array.from({ length: STEPS }, () => drawn.next().value);
}

/** The loss of each step. The trainer is disposed. */
async function lossesWith(kernels: Kernels): Promise<number[]> {
  const trainer = new Trainer(config, kernels, SEED);
  const losses: number[] = [];
  for (const [step, batch] of batches().entries()) {
    losses.push(await trainer.step(batch, learningRateAt(step, STEPS, LEARNING_RATE)));
  }
  trainer.dispose();
  return losses;
}

function expectSameLosses(got: readonly number[], want: readonly number[], bound: number): void {
  for (const [step, loss] of got.entries()) {
    expect(loss, `loss of step ${step}`).to.be.closeTo(want[step]!, bound);
  }
}

export function suite(_backend: TestBackend): void {
  describe('training', function () {
    this.timeout(120000);

    let plain: number[];
    before(async () => {
      plain = await withoutLeak(() => lossesWith(plainKernels(CONTEXT)));
    });

    it('learns', () => {
      expect(plain).to.have.length(STEPS);
      expect(plain[STEPS - 1]).to.be.below(plain[0]! - 0.5);
    });

    it(`gives the losses of plain tfjs ops for ${STEPS} steps, within ${FLOAT32_BOUND}`, async () => {
      const fused = await withoutLeak(() => lossesWith(fusedKernels('float32')));
      expectSameLosses(fused, plain, FLOAT32_BOUND);
    });

    it(`gives them with bfloat16 attention within ${BFLOAT16_BOUND}, and learns as much`, async () => {
      const fused = await withoutLeak(() => lossesWith(fusedKernels('bfloat16')));
      expectSameLosses(fused, plain, BFLOAT16_BOUND);
      expect(fused, 'bfloat16 that rounds nothing').not.to.deep.equal(plain);
    });

    it('keeps nothing from step to step', async () => {
      const trainer = new Trainer(config, fusedKernels(), SEED);
      const [first, ...others] = batches().slice(0, 4);
      await trainer.step(first!, LEARNING_RATE);
      await withoutLeak(async () => {
        for (const batch of others) await trainer.step(batch, LEARNING_RATE);
        await trainer.evaluate(others);
      });
      trainer.dispose();
    });
  });
}
