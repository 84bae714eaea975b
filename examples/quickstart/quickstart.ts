// SPDX-License-Identifier: Apache-2.0
/** The parts of the quickstart: what will be done, training, a sample, the comparisons. */
import * as tf from '@tensorflow/tfjs-core';

import { evenBatches } from '../shared/batches.js';
import type { Batch } from '../shared/batches.js';
import { learningRateAt } from '../shared/learning_rate.js';
import { compare } from './compare.js';
import { fusedKernels, portableKernels } from './fused.js';
import { hasNative } from './native.js';
import { compareOps } from './ops.js';
import type { ModelConfig } from './model.js';
import { printOps } from './op_report.js';
import type { Plan } from './options.js';
import { plainKernels } from './plain.js';
import { Progress, grouped } from '../shared/progress.js';
import { printComparison } from './report.js';
import type { Outcome } from './report.js';
import { sample } from './sample.js';
import { randomBatches } from './text.js';
import type { Corpus } from './text.js';
import { Trainer } from './train.js';

export interface Job {
  corpus: Corpus;
  /** Where the text is from, and what computes: for people. */
  origin: string;
  device: string;
  seed: number;
  plan: Plan;
}

const VALIDATION_BATCHES = 4;
const PROMPT_LENGTH = 32;

function printHeading({ corpus, origin, device, seed, plan }: Job, trainer: Trainer): void {
  const { blocks, width, heads, context } = plan.model;
  const { length } = corpus.training;
  const versions = `tfjs ${tf.version_core}, Node ${process.versions.node}`;
  const date = new Date().toISOString().slice(0, 10);
  console.log(`device  ${device}`);
  console.log(`        ${versions}, ${date}, seed ${seed}`);
  console.log(`text    ${origin}`);
  console.log(
    `        ${grouped(length + corpus.validation.length)} characters, ${corpus.characters.length} tokens; ` +
      `the last tenth is for validation`,
  );
  console.log(`        unigram entropy ${corpus.unigramEntropy.toFixed(2)} nats per character`);
  console.log(
    `model   ${grouped(trainer.parameters)} parameters: ${blocks} ${blocks === 1 ? 'block' : 'blocks'} of width ${width}, ` +
      `${heads} heads, sequences of ${context}`,
  );
  console.log('        QK-norm, bfloat16 attention, fused norms\n');
}

/** Trains until the steps or the seconds are over. */
async function train(trainer: Trainer, batches: Generator<Batch, never>, plan: Plan) {
  const { steps, seconds, rows, learningRate } = plan;
  const tokens = rows * plan.model.context;
  const timeUp = Number.isFinite(seconds) ? `, at most ${seconds} s` : '';
  console.log(`Training: ${grouped(steps)} steps of ${grouped(tokens)} characters${timeUp}`);
  const progress = new Progress(steps);
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  let smoothed: number | undefined;
  let done = 0;
  const take = async (loss: Promise<number>): Promise<void> => {
    const value = await loss;
    smoothed = smoothed === undefined ? value : 0.9 * smoothed + 0.1 * value;
    done++;
    const speed = `${grouped((done * tokens) / elapsed())} tokens/s`;
    progress.update(done, `loss ${smoothed.toFixed(3)}  ${speed}  ${elapsed().toFixed(0)} s`);
  };
  let pending: Promise<number> | undefined;
  for (let step = 0; step < steps && elapsed() < seconds; step++) {
    const loss = trainer.step(batches.next().value, learningRateAt(step, steps, learningRate));
    // Only now, so that the device has the next step while this one's loss is read.
    if (pending) await take(pending);
    pending = loss;
  }
  if (pending) await take(pending);
  progress.end();
  if (done < steps) console.log(`  stopped after ${done} steps: ${seconds} s are over`);
  return { tokensPerSecond: (done * tokens) / elapsed() };
}

async function writeSample(trainer: Trainer, { corpus, plan, seed }: Job): Promise<void> {
  const prompt = corpus.validation.slice(0, PROMPT_LENGTH);
  const textOf = (token: number) => corpus.characters[token]!;
  console.log(`\nSample: ${plan.sampleLength} characters after ${PROMPT_LENGTH} of the text\n`);
  process.stdout.write(Array.from(prompt, textOf).join(''));
  for await (const token of sample(trainer, prompt, plan.sampleLength, seed)) {
    process.stdout.write(textOf(token));
  }
  console.log('\n');
}

async function measure({ corpus, plan, seed }: Job, config: ModelConfig, validation: Batch[]) {
  const { rows, comparedSteps } = plan;
  const batches = randomBatches(corpus.training, rows, config.context, seed);
  console.log('Comparison with plain tfjs ops: the same weights, batches and steps');
  const makers = [
    () => fusedKernels(),
    ...(hasNative() ? [portableKernels] : []),
    () => plainKernels(config.context),
  ];
  const progress = new Progress(makers.length * comparedSteps);
  const measured = await compare({
    config,
    makers,
    batches: Array.from({ length: comparedSteps }, () => batches.next().value),
    validation,
    learningRate: plan.learningRate / 2,
    seed,
    onStep: (done) => progress.update(done, 'steps, in turns'),
  });
  progress.end();
  return measured;
}

/** @returns whether training came to a finite loss */
export async function runQuickstart(job: Job): Promise<boolean> {
  const { corpus, plan, seed } = job;
  const config: ModelConfig = { ...plan.model, vocabulary: corpus.characters.length };
  const { context } = config;
  const trainer = new Trainer(config, fusedKernels(), seed);
  printHeading(job, trainer);
  const batches = randomBatches(corpus.training, plan.rows, context, seed);
  const { tokensPerSecond } = await train(trainer, batches, plan);
  const validation = evenBatches(corpus.validation, plan.rows, context, VALIDATION_BATCHES);
  const loss = await trainer.evaluate(validation);
  const outcome: Outcome = { loss, entropy: corpus.unigramEntropy, tokensPerSecond };
  const sign = loss < outcome.entropy ? 'below' : 'NOT below';
  console.log(
    `\nValidation loss ${loss.toFixed(3)} nats per character, ${sign} the unigram entropy of ` +
      `${outcome.entropy.toFixed(3)}`,
  );
  if (!Number.isFinite(loss)) return false;
  await writeSample(trainer, job);
  trainer.dispose();
  const measured = await measure(job, config, validation);
  printOps(await compareOps(plan.ops), plan.ops);
  printComparison(measured, plan, outcome);
  return true;
}
