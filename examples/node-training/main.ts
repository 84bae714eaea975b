// SPDX-License-Identifier: Apache-2.0
/** Trains a GPT on a text file: npm run train -- --help */
import { UsageError } from '../shared/usage.js';
import { loadBackend } from './backend.js';
import { compareStrategies } from './compare.js';
import { HELP } from './flags.js';
import { Interrupt } from './interrupt.js';
import { makeJob } from './job.js';
import { readOptions } from './options.js';
import { runSession } from './session.js';

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  // Before TensorFlow is loaded, which takes its time: what is wrong with files is said at once.
  const job = await makeJob(options);
  const device = await loadBackend(options.backend);
  const interrupt = new Interrupt();
  if (options.compare) {
    await compareStrategies(job, device, interrupt);
  } else {
    await runSession(job, device, interrupt);
  }
  return interrupt.exitCode ?? 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(`train: ${error instanceof Error ? error.message : String(error)}`);
  if (isUsage) console.error('`npm run train -- --help` lists the options.');
  process.exitCode = isUsage ? 2 : 1;
}
