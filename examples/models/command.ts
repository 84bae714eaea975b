// SPDX-License-Identifier: Apache-2.0
/** The command line of these examples: the backend, the seed, and how long to train. */
import path from 'node:path';
import { parseArgs } from 'node:util';

import { UsageError, usageErrorOf, wholeNumber } from '../shared/usage.js';

/** Loads tfjs-node with this package's library, or tfjs' own backend in JavaScript. */
async function loadBackend(name: string): Promise<void> {
  const tf = await import('@tensorflow/tfjs-core');
  tf.enableProdMode();
  if (name === 'tensorflow') {
    process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
    await import('@tensorflow/tfjs-node-gpu').catch((error: Error) => {
      const [reason] = error.message.split('\n');
      throw new UsageError(
        `@tensorflow/tfjs-node-gpu does not load (${reason}); \`npm run setup\` brings it, and --backend cpu does without`,
      );
    });
    await import('../../src/node.js');
  } else if (name === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu');
  } else {
    throw new UsageError(`--backend is tensorflow or cpu, not '${name}'`);
  }
  await tf.setBackend(name);
}

/**
 * Runs an example with the numbers of its command line; `defaults` names those that it takes besides `--seed`, and
 * `operandNames` what stands there without a name. `run` imports what computes: only then is there a backend.
 */
export async function runExample<N extends Record<string, number>>(
  defaults: N,
  run: (numbers: N & { seed: number }, operands: string[]) => Promise<void>,
  operandNames: readonly string[] = [],
): Promise<void> {
  const all = { ...defaults, seed: 1 };
  try {
    const options = Object.fromEntries(
      ['backend', ...Object.keys(all)].map((name) => [name, { type: 'string' as const }]),
    );
    const help = { type: 'boolean' } as const;
    const parsed = parseArgs({ options: { ...options, help }, allowPositionals: true });
    const values = parsed.values as Partial<Record<string, string>>;
    if (values['help']) {
      const numbers = Object.entries(all).map(([name, value]) => `[--${name} ${value}]`);
      const program = path.relative('', process.argv[1]!);
      const words = [program, ...operandNames, '[--backend tensorflow|cpu]', ...numbers];
      console.log(
        `node --import tsx ${words.join(' ')}\n\nThe numbers are those without an option.`,
      );
      return;
    }
    if (parsed.positionals.length !== operandNames.length) {
      throw new UsageError(`besides options it takes ${operandNames.join(' ') || 'nothing'}`);
    }
    const entries = Object.entries(all).map(([name, value]): [string, number] => {
      const given = values[name];
      return [name, given === undefined ? value : wholeNumber(name, given, 1)];
    });
    await loadBackend(values['backend'] ?? 'tensorflow');
    await run(Object.fromEntries(entries) as N & { seed: number }, parsed.positionals);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS');
    console.error(
      isUsage ? `${usageErrorOf(error).message}\n(--help tells what it takes)` : message,
    );
    process.exitCode = isUsage ? 2 : 1;
  }
}
