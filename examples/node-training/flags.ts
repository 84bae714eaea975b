// SPDX-License-Identifier: Apache-2.0
/** The options of the command line, one by one: names, defaults, limits, and what they are for. */

export interface Flag {
  name: string;
  /** What stands for the value in the help. */
  value: string;
  help: string;
  /** As it would be typed; none: see the help. */
  usual?: string;
  /** Whether it decides how training goes: then a checkpoint has it, and --resume refuses it. */
  isSetting: boolean;
  number?: { least: number; most?: number; isWhole: boolean };
}

const whole = { least: 1, isWhole: true };
const wholeOrZero = { least: 0, isWhole: true };
const real = { least: 0, isWhole: false };

type Entry = [
  name: string,
  value: string,
  usual: string | undefined,
  help: string,
  n?: Flag['number'],
];

const settings: Entry[] = [
  ['tokens', 'KIND', 'characters', 'characters, or byte-pairs'],
  [
    'vocabulary',
    'N',
    '512',
    'tokens with byte-pairs, the 256 bytes included',
    { least: 257, most: 65536, isWhole: true },
  ],
  ['dtype', 'NAME', 'float32', 'float32, cast-output, cast-weights; compare: a table of all three'],
  ['context', 'N', '128', 'length of sequences, in tokens', whole],
  ['width', 'N', '128', 'channels, a multiple of twice heads', whole],
  ['heads', 'N', '4', 'query heads', whole],
  ['kv-heads', 'N', '2', 'key and value heads, a divisor of heads', whole],
  ['blocks', 'N', '4', 'transformer blocks', whole],
  ['batch', 'N', '8', 'sequences that are computed at once', whole],
  ['accumulate', 'N', '1', 'batches whose gradients make one step', whole],
  ['steps', 'N', '1000', 'steps of training', whole],
  ['learning-rate', 'X', '3e-3', 'of AdamW, after the warm-up', real],
  [
    'warm-up',
    'N',
    undefined,
    'steps of warm-up, before the cosine (default: a twentieth)',
    wholeOrZero,
  ],
  ['weight-decay', 'X', '0.1', 'of matrices; norms have none', real],
  ['clip', 'X', '1', 'greatest norm of the gradient; 0 for any', real],
  [
    'held-out',
    'X',
    '0.1',
    'share of the text, its end, that is for evaluation',
    { least: 0.001, most: 0.9, isWhole: false },
  ],
  ['seed', 'N', '1', 'for the first weights, the order of the text and the sample', wholeOrZero],
];

const ofTheRun: Entry[] = [
  ['out', 'DIR', 'runs/train', 'where checkpoints and TensorBoard logs go'],
  [
    'stop-after',
    'N',
    undefined,
    'save and stop after so many steps of this run; --resume goes on',
    whole,
  ],
  ['evaluate-every', 'N', '100', 'steps between evaluations', whole],
  ['save-every', 'N', '200', 'steps between checkpoints', whole],
  ['keep', 'N', '2', 'checkpoints that are kept', whole],
  ['sample', 'N', '300', 'tokens of the sample at the end', wholeOrZero],
  ['temperature', 'X', '0.8', 'of the sample; 0 takes the most likely token', real],
  ['top-k', 'N', '40', 'the sample draws from so many tokens', whole],
  ['prompt', 'TEXT', undefined, 'how the sample begins (default: as the held-out text does)'],
  ['backend', 'NAME', 'tfjs-node', 'tfjs-node, tfjs-node-gpu, or tfjs (plain JavaScript, slow)'],
];

const flagOf =
  (isSetting: boolean) =>
  ([name, value, usual, help, number]: Entry): Flag => ({
    ...{ name, value, help, isSetting },
    ...(usual === undefined ? {} : { usual }),
    ...(number === undefined ? {} : { number }),
  });

export const FLAGS: readonly Flag[] = [
  ...settings.map(flagOf(true)),
  ...ofTheRun.map(flagOf(false)),
];

function describe({ name, value, help, usual }: Flag): string {
  return `  ${`--${name} ${value}`.padEnd(21)} ${help}${usual === undefined ? '' : ` (default: ${usual})`}`;
}

export const HELP = `Trains a GPT on a text file: multiHeadAttention, RMSNorm, QK-norm and rotary embedding from this package.

npm run train -- FILE [options]

How training goes, which a checkpoint keeps:
${FLAGS.filter((flag) => flag.isSetting)
  .map(describe)
  .join('\n')}

This run:
${FLAGS.filter((flag) => !flag.isSetting)
  .map(describe)
  .join('\n')}
  --resume              go on from the last checkpoint in --out; FILE may be left out
  --help                this text

Ctrl-C saves a checkpoint and ends. Exit codes: 0, 1 failure, 2 wrong options or files, 130 Ctrl-C, 143 TERM.`;
