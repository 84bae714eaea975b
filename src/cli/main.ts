#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/**
 * The command `tfjs-xformers`. Exit codes: 0; 1 where nothing could be measured or something is
 * wrong; 2 for a call that it does not understand; 130 after Ctrl-C.
 */
import { VERSION } from '../version.js';
import { parseCommand } from './arguments.js';
import { reasonOf } from './candidates.js';
import { endChildren } from './child.js';
import { HELP } from './help.js';
import { clearProgress } from './progress.js';

function stop(): void {
  endChildren();
  clearProgress();
  process.exit(130);
}

async function main(args: string[]): Promise<number> {
  const call = parseCommand(args);
  if ('mistake' in call) {
    console.error(`tfjs-xformers: ${call.mistake}\nTry: tfjs-xformers --help`);
    return 2;
  }
  switch (call.command) {
    case 'help':
      process.stdout.write(HELP);
      return 0;
    case 'version':
      console.log(VERSION);
      return 0;
    // Loaded when asked for: they need tfjs, and help does not.
    case 'info':
      return (await import('./info_command.js')).printInfo(call.json);
    case 'bench':
      return (await import('./bench/command.js')).printBench(call.options, call.json);
  }
}

/** An error that is no bug: tfjs is not there. */
function missingTfjs(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ERR_MODULE_NOT_FOUND' && reasonOf(error).includes('@tensorflow/');
}

process.once('SIGINT', stop);
process.once('SIGTERM', stop);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  clearProgress();
  if (!missingTfjs(error)) throw error;
  console.error(
    'tfjs-xformers: TensorFlow.js is not installed here: npm install @tensorflow/tfjs\n' +
      `(${reasonOf(error)})`,
  );
  process.exitCode = 1;
}
