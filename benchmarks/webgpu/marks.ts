// SPDX-License-Identifier: Apache-2.0
/**
 * What this package is to reach on WebGPU, and whether it did. A mark is about all cells of the grid that it
 * fits, and its figure is the worst of them.
 */
import { quantile } from '../shared/statistics.js';
import type { Verdict } from '../shared/table.js';
import { isModel, maskOf, shapeOf, titleOf } from './cases.js';
import type { AttentionCase, Case, ProviderName } from './cases.js';
import type { Result } from './measure.js';
import { backwardResults, isTimed, rateOf, sameBut, secondsOf } from './results.js';
import type { Clock } from './results.js';

const OURS: ProviderName = 'tfjs-xformers';
const LONGEST = 65_536;
const SECOND_LONGEST = 16_384;

/** One cell's figure. */
interface Figure {
  cell: string;
  value: number;
  /** Quartiles over the rounds, where there are some. */
  low?: number;
  high?: number;
}

interface Mark {
  title: string;
  against: string;
  /** The figure has to be at least this, or with `atMost` at most. */
  required: number;
  unit: string;
  atMost?: boolean;
  figures(results: readonly Result[], clock: Clock): Figure[];
}

const cellOf = (c: Case) => [shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' ');
const isSquare = (c: Case): c is AttentionCase => c.op === 'attention';

function ours(results: readonly Result[], fits: (c: Case) => boolean): Result[] {
  return results.filter((r) => r.provider === OURS && isTimed(r) && fits(r.case));
}

/** Round by round where both were timed by the clock in turn. */
function speedFigure(mine: Result, peer: Result, clock: Clock): Figure {
  const cell = cellOf(mine.case);
  const value = secondsOf(peer, clock) / secondsOf(mine, clock);
  if (clock === 'GPU' || mine.case !== peer.case) return { cell, value };
  const count = Math.min(mine.rounds.length, peer.rounds.length);
  const ratios = Array.from({ length: count }, (_, n) => peer.rounds[n]! / mine.rounds[n]!);
  const [low, high] = [quantile(ratios, 0.25), quantile(ratios, 0.75)];
  return { cell, value: quantile(ratios, 0.5), low, high };
}

/** Speed over that of the fastest of some peers. */
function speedMark(
  title: string,
  fits: (c: Case) => boolean,
  peers: readonly ProviderName[],
  required: number,
): Mark {
  return {
    title,
    against: peers.join(' or '),
    required,
    unit: '×',
    figures: (results, clock) =>
      ours(results, fits).flatMap((mine) => {
        const [fastest] = results
          .filter((r) => r.case === mine.case && peers.includes(r.provider) && isTimed(r))
          .sort((a, b) => secondsOf(a, clock) - secondsOf(b, clock));
        return fastest ? [speedFigure(mine, fastest, clock)] : [];
      }),
  };
}

/** Rate over the best matrix product's. */
function matmulMark(title: string, fits: (c: Case) => boolean, required: number): Mark {
  return {
    title,
    against: 'best matmul',
    required,
    unit: '×',
    figures: (results, clock) => {
      const products = results.filter((r) => r.case.op === 'matmul' && isTimed(r));
      if (products.length === 0) return [];
      const best = Math.max(...products.map((r) => rateOf(r, clock)));
      return ours(results, fits).map((mine) => ({
        cell: cellOf(mine.case),
        value: rateOf(mine, clock) / best,
      }));
    },
  };
}

/** bfloat16 over float32, of the same cell. */
function bfloat16Mark(
  title: string,
  fits: (c: Case) => boolean,
  required: number,
  figure: (bfloat16: Result, float32: Result, clock: Clock) => number,
  atMost = false,
): Mark {
  return {
    title,
    against: 'float32',
    required,
    unit: '×',
    atMost,
    figures: (results, clock) =>
      ours(results, (c) => c.dtype === 'bfloat16' && fits(c)).flatMap((stored) => {
        const title32 = sameBut(stored.case, { dtype: 'float32' });
        const full = ours(results, (c) => titleOf(c) === title32)[0];
        return full ? [{ cell: cellOf(stored.case), value: figure(stored, full, clock) }] : [];
      }),
  };
}

const compileMark: Mark = {
  title: 'slowest pipeline to compile',
  against: '',
  required: 1,
  unit: ' s',
  atMost: true,
  // Most pipelines of a model are tfjs' own.
  figures: (results) =>
    ours(results, (c) => !isModel(c))
      .filter((r) => Number.isFinite(r.compileSeconds))
      .map((r) => ({ cell: titleOf(r.case), value: r.compileSeconds })),
};

/** Growth of the peak bytes with the length. */
function linearMark(short: number, long: number): Mark {
  const bytes = (results: readonly Result[], length: number) => {
    const fits = (c: Case) =>
      isSquare(c) &&
      c.heads === 1 &&
      c.queries === length &&
      c.window === undefined &&
      c.mode === 'forward + backward';
    // Bytes are counted of calls that take too long to be timed as well.
    return results.find((r) => r.provider === OURS && Number.isFinite(r.peakBytes) && fits(r.case))
      ?.peakBytes;
  };
  return {
    title: `attention forward + backward, peak bytes of M ${long}`,
    against: `M ${short}`,
    required: (1.1 * long) / short,
    unit: '×',
    atMost: true,
    figures: (results) => {
      const [a, b] = [bytes(results, short), bytes(results, long)];
      return a && b ? [{ cell: 'H1 D64 causal', value: b / a }] : [];
    },
  };
}

const isBlock = (c: Case) =>
  isModel(c) && c.layers === 1 && c.tokens === 2048 && c.mode === 'forward + backward';

const MODEL_MARKS: readonly Mark[] = [
  speedMark('GPT block forward + backward, M 2048', isBlock, ['tfjs'], 3),
  {
    title: 'GPT block forward + backward, M 2048, peak bytes',
    against: 'tfjs',
    required: 0.25,
    unit: '×',
    atMost: true,
    figures: (results) =>
      // Bytes are counted of calls that take too long to be timed as well.
      results
        .filter((r) => r.provider === OURS && isBlock(r.case))
        .flatMap((mine) => {
          const plain = results.find((r) => r.case === mine.case && r.provider === 'tfjs');
          const value = mine.peakBytes / (plain?.peakBytes ?? NaN);
          return Number.isFinite(value) ? [{ cell: cellOf(mine.case), value }] : [];
        }),
  },
];

const isMarkedAttention = (mode: Case['mode']) => (c: Case) =>
  isSquare(c) &&
  c.mode === mode &&
  c.dtype === 'float32' &&
  c.queries === 512 &&
  c.dim === 64 &&
  !c.causal;

const isMarkedNorm = (mode: Case['mode']) => (c: Case) =>
  c.op === 'layer norm' &&
  c.mode === mode &&
  c.dtype === 'float32' &&
  c.rows === 2048 &&
  c.columns === 768;

const SOFTWARE_MARKS: readonly Mark[] = [
  speedMark('attention forward', isMarkedAttention('forward'), ['onnxruntime-web', 'jax-js'], 1.4),
  speedMark('attention forward', isMarkedAttention('forward'), ['tfjs'], 8),
  speedMark('attention forward + backward', isMarkedAttention('forward + backward'), ['jax-js'], 1),
  speedMark('attention forward + backward', isMarkedAttention('forward + backward'), ['tfjs'], 6),
  ...(['tfjs', 'tf.layers'] as const).flatMap((peer) => [
    speedMark('layer norm forward', isMarkedNorm('forward'), [peer], 20),
    speedMark('layer norm forward + backward', isMarkedNorm('forward + backward'), [peer], 50),
  ]),
  compileMark,
  linearMark(1024, 4096),
  linearMark(SECOND_LONGEST, LONGEST),
];

const isForward = (c: Case) => isSquare(c) && c.mode === 'forward' && c.dtype === 'float32';
const isLong = (c: Case) => isSquare(c) && c.queries >= 2048 && c.heads > 1;
const isNorm = (c: Case) => c.op.endsWith('norm');

const HARDWARE_MARKS: readonly Mark[] = [
  speedMark('attention forward', isForward, ['onnxruntime-web'], 1.2),
  matmulMark('attention forward, M ≥ 2048', (c) => isForward(c) && isLong(c), 0.6),
  matmulMark('attention backward, M ≥ 2048', (c) => isLong(c) && c.mode === 'backward', 0.5),
  speedMark(
    'attention forward, M 4096',
    (c) => isForward(c) && isSquare(c) && c.queries === 4096,
    ['tfjs'],
    10,
  ),
  speedMark('decoding', (c) => c.op === 'decoding', ['copy kernel'], 0.8),
  speedMark('norms', isNorm, ['copy kernel'], 0.8),
  bfloat16Mark(
    'bfloat16',
    () => true,
    1,
    (stored, full, clock) => secondsOf(full, clock) / secondsOf(stored, clock),
  ),
  bfloat16Mark(
    'bfloat16 forward, peak bytes',
    ({ mode }) => mode === 'forward',
    0.55,
    (stored, full) => stored.peakBytes / full.peakBytes,
    true,
  ),
  linearMark(SECOND_LONGEST, LONGEST),
];

function verdictOf(mark: Mark, results: readonly Result[], clock: Clock): Verdict {
  const { title, against, required, unit, atMost = false } = mark;
  const figures = mark.figures(results, clock);
  const reaches = (value: number) => (atMost ? value <= required : value >= required);
  const text = (value: number) => `${Number(value.toPrecision(3))}${unit}`;
  const verdict = { mark: title, against, required: `${atMost ? '≤ ' : ''}${text(required)}` };
  if (figures.length === 0) return { ...verdict, measured: '', verdict: 'not measured' };
  const worst = figures.reduce((a, b) => (a.value < b.value === atMost ? b : a));
  const met = figures.filter(({ value }) => reaches(value)).length;
  const spread = worst.low === undefined ? '' : ` (${text(worst.low)} to ${text(worst.high!)})`;
  const share = figures.length === 1 ? '' : `; ${met} of ${figures.length} cells`;
  const inReach = figures.every(({ value, high = value }) => reaches(value) || reaches(high));
  return {
    ...verdict,
    measured: `${text(worst.value)}${spread}, ${worst.cell}${share}`,
    verdict: met === figures.length ? 'met' : inReach ? 'within noise' : 'missed',
  };
}

/** The marks of the kind of adapter that the results are of. */
export function verdicts(results: readonly Result[], software: boolean): Verdict[] {
  const clock: Clock = software ? 'wall' : 'GPU';
  const all = [...results, ...backwardResults(results)];
  const marks = [...(software ? SOFTWARE_MARKS : HARDWARE_MARKS), ...MODEL_MARKS];
  return marks.map((mark) => verdictOf(mark, all, clock));
}
