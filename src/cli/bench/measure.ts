// SPDX-License-Identifier: Apache-2.0
/**
 * Measures one op on the running backend. Its size is the largest at which a round (every candidate
 * once, forward, and forward with backward) is short enough; then results are checked, memory is
 * counted, and all candidates take turns, so that whatever else the machine does slows all of them.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { reasonOf } from '../candidates.js';
import { compute, time } from './calls.js';
import type { Mode } from './calls.js';
import { mistakeOf, resultsOf } from './check.js';
import type { Results } from './check.js';
import { draw } from './draw.js';
import { accuracyOf } from './exact.js';
import { workingBytes } from './memory.js';
import type { BenchOp, Candidate, ExactRows, Figures, OpFigures, PreparedOp } from './op.js';

const MODES: readonly Mode[] = ['forward', 'forwardBackward'];
/** A round takes at most this share of an op's time. */
const ROUND_SHARE = 1 / 5;
/** The next size takes up to this times as long. */
const GROWTH = 4;
const [LEAST_ROUNDS, MOST_ROUNDS] = [3, 40];
/** Calls in a row are timed together up to this long, as reading a result takes a while itself. */
const TURN_MS = 25;

type Say = (text: string) => void;

/** A prepared op and the gradient of its output, in each candidate's layout. */
interface Scene extends PreparedOp {
  gradientOf: Map<Candidate, Tensor>;
}

function setScene(op: BenchOp, size: number): Scene {
  const prepared = op.prepare(size);
  const gradientOf = new Map<Candidate, Tensor>();
  const first = prepared.candidates[0]!;
  const { shape } = first.leaves[0]!;
  const dy = tf.tensor(draw(9, tf.util.sizeFromShape(shape)), shape);
  for (const candidate of prepared.candidates) {
    // Layouts are swaps of two axes: what brings an output to the first one brings dy from it.
    gradientOf.set(candidate, candidate.toFirst ? candidate.toFirst(dy) : dy);
  }
  return { ...prepared, gradientOf };
}

/** Runs with an op of a size; what was made for it is freed. */
async function withScene<T>(op: BenchOp, size: number, run: (scene: Scene) => Promise<T>) {
  tf.engine().startScope();
  let scene: Scene | undefined;
  try {
    scene = setScene(op, size);
    return await run(scene);
  } finally {
    scene?.dispose?.();
    tf.engine().endScope();
  }
}

/** Milliseconds of a round, after one that compiles; Infinity if a candidate fails at this size. */
async function roundTime(op: BenchOp, size: number): Promise<number> {
  const round = withScene(op, size, async ({ candidates, gradientOf }) => {
    let total = 0;
    for (const candidate of candidates) {
      const dy = gradientOf.get(candidate)!;
      for (const mode of MODES) {
        await time(candidate, mode, dy, 1);
        const times = [await time(candidate, mode, dy, 1), await time(candidate, mode, dy, 1)];
        total += Math.min(...times);
      }
    }
    return total;
  });
  return round.catch(() => Infinity);
}

async function chooseSize(op: BenchOp, budgetMs: number, say: Say): Promise<number> {
  let chosen = op.sizes[0]!;
  for (const size of op.sizes) {
    say(`${op.title}: choosing a size, ${size}`);
    const took = await roundTime(op, size);
    if (!Number.isFinite(took)) break;
    chosen = size;
    if (took * GROWTH > budgetMs * ROUND_SHARE) break;
  }
  return chosen;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** The accuracy of what a candidate makes on the way, where it makes something. */
async function partAccuracy({ runPart }: Candidate, rows: ExactRows | undefined) {
  if (!runPart || !rows) return {};
  const part = runPart();
  const values = await part.data<'float32'>();
  part.dispose();
  return { partAccuracy: accuracyOf(values, rows) };
}

/** Checks candidates and counts their memory; those that fail have it in their figures. */
async function checkAll({ candidates, gradientOf, exact, part }: Scene): Promise<Figures[]> {
  const [rows, partRows] = [exact(), part?.exact()];
  const results = new Map<Candidate, Results | string>();
  for (const candidate of candidates) {
    const computed = resultsOf(candidate, gradientOf.get(candidate)!);
    results.set(candidate, await computed.catch((error: unknown) => reasonOf(error)));
  }
  const reference = results.get(candidates.at(-1)!)!;
  const figures: Figures[] = [];
  for (const candidate of candidates) {
    const got = results.get(candidate)!;
    const { name, tolerance } = candidate;
    const own: Figures = {
      name,
      forward: null,
      forwardBackward: null,
      workingBytes: null,
      accuracy: null,
    };
    figures.push(own);
    if (typeof got === 'string') {
      own.failure = got;
      continue;
    }
    own.accuracy = accuracyOf(got.output, rows);
    Object.assign(own, await partAccuracy(candidate, partRows));
    const mistake = typeof reference === 'string' ? null : mistakeOf(got, reference, tolerance);
    if (mistake) own.failure = mistake;
    const dy = gradientOf.get(candidate)!;
    own.workingBytes = await workingBytes(() => compute(candidate, 'forwardBackward', dy));
  }
  return figures;
}

/** Times what is right, in turns; the figures get the medians. @returns the number of rounds */
async function timeAll(scene: Scene, figures: Figures[], budgetMs: number, say: Say) {
  const runs = scene.candidates.flatMap((candidate, index) =>
    figures[index]!.failure === undefined
      ? MODES.map((mode) => ({ candidate, mode, figures: figures[index]!, times: [] as number[] }))
      : [],
  );
  const counts = new Map<object, number>();
  const start = performance.now();
  let rounds = 0;
  // The first round is not counted; it tells how often to call in a row.
  for (let round = 0; round <= MOST_ROUNDS; round++) {
    if (round > LEAST_ROUNDS && performance.now() - start > budgetMs) break;
    say(`timing, round ${round}`);
    for (const run of runs) {
      const count = counts.get(run) ?? 1;
      const took = await time(run.candidate, run.mode, scene.gradientOf.get(run.candidate)!, count);
      if (round > 0) run.times.push(took);
      else counts.set(run, Math.min(50, Math.max(1, Math.ceil(TURN_MS / took))));
    }
    rounds = round;
  }
  for (const { mode, figures: own, times } of runs) own[mode] = median(times);
  return rounds;
}

/** @param budgetMs about how long it may take. @param say hears what is being done. */
export async function measureOp(op: BenchOp, budgetMs: number, say: Say): Promise<OpFigures> {
  const start = performance.now();
  const size = await chooseSize(op, budgetMs, say);
  return withScene(op, size, async (scene) => {
    say(`${op.title} ${scene.shape}: checking`);
    const candidates = await checkAll(scene);
    const left = Math.max(budgetMs - (performance.now() - start), budgetMs / 2);
    const rounds = await timeAll(scene, candidates, left, (text) =>
      say(`${op.title} ${scene.shape}: ${text}`),
    );
    const part = scene.part?.title;
    const { shape } = scene;
    return { op: op.name, title: op.title, shape, rounds, candidates, ...(part && { part }) };
  });
}
