// SPDX-License-Identifier: Apache-2.0
/** Trains a small transformer, writes a sample, and compares with plain tfjs ops: npm run quickstart -- --help */
import { UsageError } from '../shared/usage.js';
import { loadBackend } from './backend.js';
import { HELP, PLANS, readOptions } from './options.js';
import type { Options } from './options.js';
import { readText } from './sources.js';
import type { Text } from './sources.js';
import { makeCorpus } from './text.js';
import type { Corpus } from './text.js';

async function textFor(options: Options): Promise<Text> {
  try {
    return await readText(options.text);
  } catch (error) {
    throw new UsageError(`cannot read the text: ${(error as Error).message}`);
  }
}

function corpusOf({ text }: Text, context: number): Corpus {
  try {
    return makeCorpus(text, context);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const text = await textFor(options);
  const device = await loadBackend(options.backend);
  const plan = PLANS[device.speed];
  const corpus = corpusOf(text, plan.model.context);
  // Imported only now: tfjs' backends look at what there is when they are loaded.
  const { runQuickstart } = await import('./quickstart.js');
  const job = {
    corpus,
    origin: text.origin,
    device: device.description,
    seed: options.seed,
    plan: {
      ...plan,
      steps: options.steps ?? plan.steps,
      // Who asks for so many steps gets them.
      seconds: options.seconds ?? (options.steps === undefined ? plan.seconds : Infinity),
    },
  };
  return (await runQuickstart(job)) ? 0 : 1;
}

try {
  // The WebGPU of Node keeps the process alive.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(`quickstart: ${error instanceof Error ? error.message : String(error)}`);
  if (isUsage) console.error('`npm run quickstart -- --help` lists the options.');
  process.exit(isUsage ? 2 : 1);
}
