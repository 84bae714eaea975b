// SPDX-License-Identifier: Apache-2.0
/** A run from its heading to its sample. */
import path from 'node:path';

import * as tf from '@tensorflow/tfjs-core';

import { grouped } from '../shared/progress.js';
import { seededRandom } from '../shared/random.js';
import type { Device } from './backend.js';
import { restore } from './checkpoint.js';
import { generate } from './generate.js';
import type { Interrupt } from './interrupt.js';
import type { Job } from './job.js';
import { RunLogs } from './logs.js';
import { decode } from './tokens/tokenizer.js';
import { Trainer } from './trainer.js';
import { train } from './training.js';

/** Tokens of the held-out text that a sample begins with. */
const PROMPT_LENGTH = 32;

/** Of the logs of a run, or of one of several in a comparison. */
export function logFolder(job: Job, name = ''): string {
  return path.join(job.run.out, 'logs', name);
}

export function printHeading({ settings, corpus, text, run }: Job, device: Device): void {
  const { tokens, context, width, heads, kvHeads, blocks } = settings;
  const { batch, accumulate, seed } = settings;
  const { training, heldOut, tokenizer } = corpus;
  console.log(`device  ${device.description}`);
  console.log(`        tfjs ${tf.version_core}, Node ${process.versions.node}, seed ${seed}`);
  console.log(`text    ${path.relative('', text.path)}: ${grouped(corpus.characters)} characters`);
  console.log(
    `tokens  ${tokens}, ${grouped(tokenizer.size)} different ones; ` +
      `${grouped(training.length)} to train on, ${grouped(heldOut.length)} held out`,
  );
  console.log(
    `model   ${blocks} blocks of width ${width}, ${heads} query heads and ${kvHeads} key and value heads`,
  );
  console.log(
    `step    ${batch * accumulate} sequences of ${context} tokens` +
      (accumulate > 1 ? `, ${batch} at a time` : ''),
  );
  const logs = device.summaryFileWriter
    ? `tensorboard --logdir ${path.join(run.out, 'logs')}`
    : 'none: TensorBoard logs are written by tfjs-node';
  console.log(`logs    ${logs}\n`);
}

async function writeSample(job: Job, trainer: Trainer, interrupt: Interrupt): Promise<void> {
  const { settings, run, corpus } = job;
  const { tokenizer, heldOut } = corpus;
  if (run.sample === 0) return;
  const given = tokenizer.encode(run.prompt);
  const prompt = given.length > 0 ? given : heldOut.subarray(0, PROMPT_LENGTH);
  console.log(`\nSample: ${grouped(run.sample)} tokens after ${grouped(prompt.length)}\n`);
  process.stdout.write(decode(tokenizer, prompt));
  const decoder = tokenizer.decoder();
  const { sample: count, temperature, topK } = run;
  const random = seededRandom(settings.seed);
  const { model } = trainer;
  const { context } = settings;
  const sample = { model, context, prompt, count, temperature, topK, random };
  for await (const token of generate(sample)) {
    process.stdout.write(decoder.next(token));
    if (await interrupt.isAsked()) break;
  }
  console.log(decoder.end());
}

/** Trains, or goes on training, and writes a sample unless somebody has asked to stop. */
export async function runSession(job: Job, device: Device, interrupt: Interrupt): Promise<void> {
  const { settings, checkpoint } = job;
  const trainer = new Trainer(settings, job.corpus);
  printHeading(job, device);
  if (checkpoint) restore(trainer, checkpoint);
  const from = checkpoint ? `, from step ${grouped(trainer.steps)} on` : '';
  console.log(
    `Training ${grouped(trainer.parameters)} weights, ${settings.strategy}: ` +
      `${grouped(settings.steps)} steps${from}`,
  );
  await train(job, trainer, new RunLogs(device, logFolder(job)), interrupt);
  if (interrupt.exitCode === undefined) await writeSample(job, trainer, interrupt);
  trainer.dispose();
}
