// SPDX-License-Identifier: Apache-2.0
/**
 * What the native kernels are to reach, and whether they did. A ratio is taken round by round, of
 * turns that followed each other, and its median decides: noise that hits a round hits both sides.
 */
import { isAttention, maskOf, shapeOf } from '../shared/case.js';
import type { DType } from '../shared/case.js';
import { quantile } from '../shared/statistics.js';
import type { Verdict } from '../shared/table.js';
import type { Case, ProviderName } from './cases.js';
import type { Result } from './measure.js';
import { medianOf } from './measure.js';

/** Speed of tfjs-xformers over that of the fastest of some peers, at least `ratio`. */
interface SpeedMark {
  title: string;
  applies(c: Case): boolean;
  peers: readonly ProviderName[];
  ratio: number;
  /** The case whose peers count, if it is not the same one. */
  peerDType?: DType;
}

const GIBIBYTE = 2 ** 30;
const MEMORY_LIMIT = 2 * GIBIBYTE;

const isMarkedNorm = (c: Case, mode: Case['mode']) =>
  c.op === 'layer norm' && c.mode === mode && c.dtype === 'float32' && c.rows === 4096;

const isForward = (c: Case, dtype: DType) =>
  c.op === 'attention' && c.mode === 'forward' && c.dtype === dtype && !c.once;

const SPEED_MARKS: readonly SpeedMark[] = [
  {
    title: 'layer norm forward',
    applies: (c) => isMarkedNorm(c, 'forward'),
    peers: ['tfjs'],
    ratio: 20,
  },
  {
    title: 'layer norm forward',
    applies: (c) => isMarkedNorm(c, 'forward'),
    peers: ['plain copy'],
    ratio: 0.8,
  },
  {
    title: 'layer norm forward + backward',
    applies: (c) => isMarkedNorm(c, 'forward + backward'),
    peers: ['tfjs'],
    ratio: 10,
  },
  {
    title: 'attention forward',
    applies: (c) => isForward(c, 'float32'),
    peers: ['PyTorch', 'onnxruntime'],
    ratio: 1,
  },
  {
    title: 'attention forward, bfloat16 against float32',
    applies: (c) => isForward(c, 'bfloat16'),
    peers: ['PyTorch', 'onnxruntime'],
    ratio: 1.5,
    peerDType: 'float32',
  },
  {
    title: 'attention forward, bfloat16 against bfloat16',
    applies: (c) => isForward(c, 'bfloat16'),
    peers: ['PyTorch'],
    ratio: 1.5,
  },
  {
    title: 'attention forward',
    applies: (c) => isForward(c, 'float32') && isAttention(c) && c.causal && c.queries === 4096,
    peers: ['tfjs'],
    ratio: 4,
  },
  {
    title: 'attention forward + backward',
    applies: (c) => c.op === 'attention' && c.mode === 'forward + backward',
    peers: ['PyTorch'],
    ratio: 1.2,
  },
  {
    title: 'decoding',
    applies: (c) => c.op === 'decoding',
    peers: ['plain read'],
    ratio: 1,
  },
];

const cell = (c: Case) => [shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' ');

/** The peer that is fastest by its median. */
function fastest(results: readonly Result[]): Result | undefined {
  const timed = results.filter(({ rounds }) => rounds.length > 0);
  return timed.sort((a, b) => medianOf(a) - medianOf(b))[0];
}

/** Of each round; of the medians alone where the two were not timed in one case. */
function ratios(ours: Result, peer: Result): number[] {
  if (ours.case !== peer.case) return [medianOf(peer) / medianOf(ours)];
  const count = Math.min(ours.rounds.length, peer.rounds.length);
  return Array.from({ length: count }, (_, n) => peer.rounds[n]! / ours.rounds[n]!);
}

function peersOf(mark: SpeedMark, c: Case, results: readonly Result[]): Result[] {
  const dtype = mark.peerDType ?? c.dtype;
  return results.filter((result) => {
    const other = result.case;
    const same = other === c || (mark.peerDType !== undefined && isForward(other, dtype));
    return (
      same && cell({ ...other, dtype: c.dtype }) === cell(c) && mark.peers.includes(result.provider)
    );
  });
}

function speedVerdict(mark: SpeedMark, ours: Result, results: readonly Result[]): Verdict {
  const peer = fastest(peersOf(mark, ours.case, results));
  const verdict = {
    mark: `${mark.title}, ${cell(ours.case)}`,
    against: peer?.provider ?? mark.peers.join(' or '),
    required: `${mark.ratio}×`,
  };
  if (!peer || ours.rounds.length === 0) {
    const measured = ours.failure || 'no peer';
    return { ...verdict, measured, verdict: 'not measured' };
  }
  const all = ratios(ours, peer);
  const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(all, q));
  const spread = all.length > 1 ? ` (${low!.toFixed(2)}–${high!.toFixed(2)})` : '';
  return {
    ...verdict,
    measured: `${median!.toFixed(2)}×${spread}`,
    verdict: median! >= mark.ratio ? 'met' : high! >= mark.ratio ? 'within noise' : 'missed',
  };
}

function memoryVerdict({ case: c, rounds, peakBytes, failure }: Result): Verdict {
  const done = rounds.length > 0;
  return {
    mark: `peak memory of the process, ${c.mode}, ${cell(c)}`,
    against: '',
    required: `${MEMORY_LIMIT / GIBIBYTE} GiB`,
    measured: done ? `${(peakBytes / GIBIBYTE).toFixed(2)} GiB` : failure,
    verdict: !done ? 'not measured' : peakBytes <= MEMORY_LIMIT ? 'met' : 'missed',
  };
}

/** Of the cases that were run. */
export function verdicts(results: readonly Result[]): Verdict[] {
  const ours = results.filter(({ provider }) => provider === 'tfjs-xformers');
  const speed = SPEED_MARKS.flatMap((mark) =>
    ours
      .filter(({ case: c }) => mark.applies(c))
      .map((result) => speedVerdict(mark, result, results)),
  );
  return [...speed, ...ours.filter(({ case: c }) => c.once).map(memoryVerdict)];
}
