// SPDX-License-Identifier: Apache-2.0
/** The command line, and what each kind of device is given to do. */
import { parseArgs } from 'node:util';

import { UsageError, usageErrorOf, wholeNumber } from '../shared/usage.js';
import type { ModelConfig } from './model.js';

export const BACKENDS = ['tensorflow', 'webgpu', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

export interface Options {
  backend: Backend;
  text?: string;
  steps?: number;
  seconds?: number;
  seed: number;
  help: boolean;
}

export const HELP = `Trains a small causal transformer on text, with this package's norms and attention.

npm run quickstart -- [options]

  --backend NAME    ${BACKENDS.join(', ')} (default: tensorflow)
  --text FILE       the text to train on (default: sources in node_modules)
  --steps N         steps of training
  --seconds N       stop training after so many seconds
  --seed N          for the first weights, the batches and the sample (default: 1)
  --help            this text`;

function numberOption(name: string, value: string | undefined, least: number): number | undefined {
  return value === undefined ? undefined : wholeNumber(name, value, least);
}

function parse(args: string[]) {
  try {
    const text = { type: 'string' } as const;
    const options = { backend: text, text, steps: text, seconds: text, seed: text };
    return parseArgs({ args, options: { ...options, help: { type: 'boolean' } } }).values;
  } catch (error) {
    throw usageErrorOf(error);
  }
}

/** @throws UsageError */
export function readOptions(args: string[]): Options {
  const given = parse(args);
  const backend = BACKENDS.find((name) => name === (given.backend ?? 'tensorflow'));
  if (backend === undefined) {
    throw new UsageError(`--backend takes one of ${BACKENDS.join(', ')}, not '${given.backend}'`);
  }
  const steps = numberOption('steps', given.steps, 1);
  const seconds = numberOption('seconds', given.seconds, 1);
  return {
    backend,
    seed: numberOption('seed', given.seed, 0) ?? 1,
    help: given.help ?? false,
    ...(given.text === undefined ? {} : { text: given.text }),
    ...(steps === undefined ? {} : { steps }),
    ...(seconds === undefined ? {} : { seconds }),
  };
}

/** What a device can do in about two minutes. */
export interface Plan {
  model: Omit<ModelConfig, 'vocabulary'>;
  /** Sequences of a batch. */
  rows: number;
  steps: number;
  /** Training ends after so many seconds, wherever it is. */
  seconds: number;
  learningRate: number;
  /** Steps of each of the two models that are compared. */
  comparedSteps: number;
  sampleLength: number;
  ops: OpSizes;
}

/** The ops that are compared one by one: causal attention, and layer norm of `rows` × `channels`. */
export interface OpSizes {
  tokens: number;
  heads: number;
  headDim: number;
  rows: number;
  channels: number;
  /** Calls of each that are timed. */
  rounds: number;
}

export type Speed = 'tensorflow' | 'gpu' | 'software gpu' | 'javascript';

export const PLANS: Record<Speed, Plan> = {
  tensorflow: {
    model: { context: 256, width: 128, heads: 4, blocks: 2 },
    rows: 4,
    steps: 300,
    seconds: 70,
    learningRate: 4e-3,
    comparedSteps: 15,
    sampleLength: 400,
    ops: { tokens: 1024, heads: 8, headDim: 64, rows: 4096, channels: 1024, rounds: 7 },
  },
  gpu: {
    model: { context: 512, width: 384, heads: 6, blocks: 6 },
    rows: 16,
    steps: 1000,
    seconds: 75,
    learningRate: 1e-3,
    comparedSteps: 15,
    sampleLength: 400,
    ops: { tokens: 2048, heads: 8, headDim: 64, rows: 8192, channels: 1024, rounds: 7 },
  },
  'software gpu': {
    model: { context: 64, width: 32, heads: 2, blocks: 1 },
    rows: 4,
    steps: 200,
    seconds: 60,
    learningRate: 1e-2,
    comparedSteps: 8,
    sampleLength: 100,
    ops: { tokens: 128, heads: 2, headDim: 32, rows: 256, channels: 256, rounds: 3 },
  },
  javascript: {
    model: { context: 64, width: 32, heads: 2, blocks: 1 },
    rows: 4,
    steps: 200,
    seconds: 75,
    learningRate: 1e-2,
    comparedSteps: 10,
    sampleLength: 200,
    ops: { tokens: 128, heads: 2, headDim: 32, rows: 256, channels: 256, rounds: 3 },
  },
};
