// SPDX-License-Identifier: Apache-2.0
/** Reads the command line. */
import { parseArgs } from 'node:util';

import { usualWarmUp } from '../shared/learning_rate.js';
import { UsageError, usageErrorOf, wholeNumber } from '../shared/usage.js';
import { FLAGS } from './flags.js';
import type { Flag } from './flags.js';
import { STRATEGIES } from './settings.js';
import type { RunOptions, Settings, Strategy } from './settings.js';
import { TOKENS } from './tokens/tokenizer.js';

export const BACKENDS = ['tfjs-node', 'tfjs-node-gpu', 'tfjs'] as const;
export type Backend = (typeof BACKENDS)[number];

export interface Options {
  help: boolean;
  text: string | undefined;
  backend: Backend;
  compare: boolean;
  settings: Settings;
  run: RunOptions;
}

type Given = Partial<Record<string, string>>;

function parse(args: string[]) {
  const names = FLAGS.map(({ name }) => [name, { type: 'string' as const }]);
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...(Object.fromEntries(names) as Record<string, { type: 'string' }>),
        ...{ resume: flag, help: flag },
      },
    });
  } catch (error) {
    throw usageErrorOf(error);
  }
}

function numberOf({ name, number }: Flag, text: string): number {
  const { least, most = Infinity, isWhole } = number!;
  const value = isWhole ? wholeNumber(name, text, least) : Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least || value > most) {
    const limits = `of at least ${least}${most === Infinity ? '' : ` and at most ${most}`}`;
    throw new UsageError(`--${name} takes a number ${limits}, not '${text}'`);
  }
  return value;
}

function oneOf<T extends string>(name: string, text: string | undefined, known: readonly T[]): T {
  const found = known.find((each) => each === text);
  if (found === undefined) {
    throw new UsageError(`--${name} takes one of ${known.join(', ')}, not '${text}'`);
  }
  return found;
}

/** The values that were given or else are usual, all numbers checked. */
class Values {
  constructor(private readonly given: Given) {
    for (const flag of FLAGS) {
      const text = given[flag.name];
      if (text !== undefined && flag.number) numberOf(flag, text);
    }
  }

  text(name: string): string | undefined {
    return this.given[name] ?? FLAGS.find((flag) => flag.name === name)!.usual;
  }

  number(name: string): number {
    return numberOf(
      FLAGS.find((flag) => flag.name === name)!,
      this.text(name)!,
    );
  }

  numberOr(name: string, otherwise: number): number {
    return this.given[name] === undefined ? otherwise : this.number(name);
  }
}

function settingsOf(values: Values, strategy: Strategy): Settings {
  const steps = values.number('steps');
  const settings: Settings = {
    tokens: oneOf('tokens', values.text('tokens'), TOKENS),
    vocabulary: values.number('vocabulary'),
    strategy,
    context: values.number('context'),
    width: values.number('width'),
    heads: values.number('heads'),
    kvHeads: values.number('kv-heads'),
    blocks: values.number('blocks'),
    batch: values.number('batch'),
    accumulate: values.number('accumulate'),
    steps,
    learningRate: values.number('learning-rate'),
    warmUp: values.numberOr('warm-up', usualWarmUp(steps)),
    weightDecay: values.number('weight-decay'),
    clip: values.number('clip'),
    heldOut: values.number('held-out'),
    seed: values.number('seed'),
  };
  const { width, heads, kvHeads } = settings;
  if (width % (2 * heads) !== 0) {
    throw new UsageError(
      `--width ${width} has to be a multiple of twice --heads ${heads}: rotary embedding turns pairs of channels`,
    );
  }
  if (heads % kvHeads !== 0) {
    throw new UsageError(`--kv-heads ${kvHeads} has to be a divisor of --heads ${heads}`);
  }
  return settings;
}

function runOptionsOf(values: Values, resume: boolean): RunOptions {
  return {
    out: values.text('out')!,
    resume,
    stopAfter: values.numberOr('stop-after', Infinity),
    evaluateEvery: values.number('evaluate-every'),
    saveEvery: values.number('save-every'),
    keep: values.number('keep'),
    sample: values.number('sample'),
    temperature: values.number('temperature'),
    topK: values.number('top-k'),
    prompt: values.text('prompt') ?? '',
  };
}

/** @throws UsageError */
export function readOptions(args: string[]): Options {
  const { values: given, positionals } = parse(args);
  const { help, resume, ...texts } = given as Given & { help: boolean; resume: boolean };
  const values = new Values(texts);
  const kept = FLAGS.find(({ name, isSetting }) => isSetting && texts[name] !== undefined);
  if (resume && kept) {
    throw new UsageError(`--resume goes on as the checkpoint says: leave out --${kept.name}`);
  }
  if (positionals.length > 1) {
    throw new UsageError(`one text file is trained on, not ${positionals.join(', ')}`);
  }
  if (!help && !resume && positionals.length === 0) throw new UsageError('which text file?');
  const dtype = oneOf('dtype', values.text('dtype'), [...STRATEGIES, 'compare']);
  return {
    help,
    text: positionals[0],
    backend: oneOf('backend', values.text('backend'), BACKENDS),
    compare: dtype === 'compare',
    settings: settingsOf(values, dtype === 'compare' ? 'float32' : dtype),
    run: runOptionsOf(values, resume),
  };
}
