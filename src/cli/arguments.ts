// SPDX-License-Identifier: Apache-2.0
/** Reads the command line. */
import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench/bench.js';
import { OP_NAMES } from './bench/op.js';
import type { OpName } from './bench/op.js';
import { CANDIDATES, reasonOf } from './candidates.js';

export type Call =
  | { command: 'help' | 'version' }
  | { command: 'info'; json: boolean }
  | { command: 'bench'; json: boolean; options: BenchOptions }
  /** What is wrong with the call, for people. */
  | { mistake: string };

const DEFAULT_SECONDS = 6;
const MOST_SECONDS = 600;
const BACKEND_NAMES = [...new Set(CANDIDATES.map(({ backend }) => backend))];

/** Told to the user as it is. */
class Mistake extends Error {}

/** The names in "a,b"; null if the option is not there. */
function listOf<T extends string>(option: string, text: string | undefined, known: readonly T[]) {
  if (text === undefined) return null;
  const names = text.split(',').map((name) => name.trim());
  const odd = names.find((name) => !(known as readonly string[]).includes(name));
  if (odd !== undefined) {
    throw new Mistake(`--${option} takes ${known.join(', ')}; got '${odd}'`);
  }
  return known.filter((name) => names.includes(name));
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_SECONDS;
  const seconds = Number(text);
  if (!(seconds >= 1 && seconds <= MOST_SECONDS)) {
    throw new Mistake(`--seconds takes a number from 1 to ${MOST_SECONDS}; got '${text}'`);
  }
  return seconds;
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      backend: { type: 'string' },
      op: { type: 'string' },
      seconds: { type: 'string' },
    },
  });
}

function callOf({ values, positionals }: ReturnType<typeof parse>): Call {
  const { json, backend, op, seconds } = values;
  if (values.help) return { command: 'help' };
  if (values.version) return { command: 'version' };
  const [command] = positionals;
  if (positionals.length !== 1 || (command !== 'info' && command !== 'bench')) {
    const got = command === undefined ? 'no command' : `'${positionals.join(' ')}'`;
    throw new Mistake(`the commands are: info, bench; got ${got}`);
  }
  if (command === 'bench') {
    const backends = listOf('backend', backend, BACKEND_NAMES);
    const ops = listOf<OpName>('op', op, OP_NAMES) ?? OP_NAMES;
    return { command, json, options: { backends, ops, seconds: secondsOf(seconds) } };
  }
  const odd = Object.entries({ backend, op, seconds }).find(([, value]) => value !== undefined);
  if (odd) throw new Mistake(`--${odd[0]} is an option of bench, not of info`);
  return { command, json };
}

/** What a command line asks for; never throws. */
export function parseCommand(args: string[]): Call {
  try {
    return callOf(parse(args));
  } catch (error) {
    // parseArgs throws TypeErrors that say what it did not understand.
    if (error instanceof Mistake || error instanceof TypeError) {
      // Of an unknown option they go on about positional arguments, and nobody here means one.
      return { mistake: reasonOf(error).replace(/\. To specify a positional argument .*$/, '') };
    }
    throw error;
  }
}
