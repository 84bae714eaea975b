// SPDX-License-Identifier: Apache-2.0
/**
 * One case: every provider prepares and is checked, then they are timed in turn, round after round.
 * A turn is some calls of one provider while all others sleep; its figure is the median of its calls.
 * Before each turn there is a pause, in which the threads of the one before stop spinning. A turn
 * during which other processes of the machine took CPU time is repeated, a few times.
 */
import path from 'node:path';
import { readFileSync, rmSync } from 'node:fs';
import type { Case, ProviderName } from './cases.js';
import { quantile } from '../shared/statistics.js';
import { checkFiles } from './check.js';
import { drawInputs } from '../shared/inputs.js';
import { writeInputs } from './inputs.js';
import type { Files } from './protocol.js';
import type { Expected } from '../shared/reference.js';
import { expectedOf } from '../shared/reference.js';
import type { WorkerProcess } from './worker_process.js';

export interface Settings {
  rounds: number;
  /** A provider's rounds end when they have taken this long, repeated turns included. */
  budgetSeconds: number;
  folder: string;
}

export interface Result {
  case: Case;
  provider: ProviderName;
  /** Seconds of a call: one figure for each round; none if it failed. */
  rounds: number[];
  maxError: number;
  peakBytes: number;
  /** Largest share of one core that other processes took during a turn. */
  disturbance: number;
  /** Minor page faults of a call, of each round. */
  faults: number[];
  failure: string;
}

/** First calls find their memory, and their caches, empty. */
const WARM_UP_SECONDS = 0.5;
const TURN_SECONDS = 0.2;
const PAUSE_MS = 300;
const TICK_SECONDS = 0.01;
const LEAST_ROUNDS = 2;
const LARGEST_DISTURBANCE = 0.1;
const REPEATS = 3;

const OUTPUTS = ['output', 'dquery', 'dkey', 'dvalue', 'dx', 'dgamma', 'dbeta'];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds of a call. */
export const medianOf = ({ rounds }: Result): number => quantile(rounds, 0.5);

/** Busy ticks of all cores so far; NaN where there is no /proc. */
function busyTicks(): number {
  try {
    const fields = readFileSync('/proc/stat', 'utf8')
      .split('\n')[0]!
      .split(/\s+/)
      .slice(1)
      .map(Number);
    const [user, nice, system, , , irq, softirq, steal] = fields;
    return user! + nice! + system! + irq! + softirq! + steal!;
  } catch {
    return NaN;
  }
}

interface Turn {
  seconds: number;
  faults: number;
  disturbance: number;
  failure: string;
}

async function takeTurn(worker: WorkerProcess): Promise<Turn> {
  await pause(PAUSE_MS);
  const [start, busy, own] = [performance.now(), busyTicks(), worker.cpuTicks()];
  const {
    times,
    faults = NaN,
    error,
  } = await worker.send({ command: 'time', seconds: TURN_SECONDS });
  const elapsed = (performance.now() - start) / 1000;
  const foreign = (busyTicks() - busy - (worker.cpuTicks() - own)) * TICK_SECONDS;
  // Two ticks are the counters' own uncertainty.
  const disturbance = Math.max(0, foreign - 2 * TICK_SECONDS) / elapsed || 0;
  const seconds = times ? quantile(times, 0.5) : NaN;
  return { seconds, faults, disturbance, failure: error ?? '' };
}

/** The least disturbed of some turns; the first that is quiet enough ends them. */
async function quietTurn(worker: WorkerProcess, repeats: number): Promise<Turn> {
  let best = await takeTurn(worker);
  for (let n = 0; n < repeats && best.disturbance > LARGEST_DISTURBANCE; n++) {
    const turn = await takeTurn(worker);
    if (turn.disturbance < best.disturbance) best = turn;
  }
  return best;
}

async function prepareAndCheck(
  worker: WorkerProcess,
  result: Result,
  inputs: Files,
  expected: Expected,
  folder: string,
): Promise<void> {
  const { case: c, provider } = result;
  const prepared = await worker.send({ command: 'prepare', case: { ...c, inputs } });
  result.failure = prepared.error ?? prepared.unsupported ?? '';
  if (result.failure || provider.startsWith('plain')) return;
  if (c.once) await timeRounds([{ worker, result }], 1, Infinity);
  const files = Object.fromEntries(OUTPUTS.map((name) => [name, path.join(folder, `${name}.out`)]));
  const { error } = await worker.send({ command: 'outputs', files });
  if (error) {
    result.failure = error;
    return;
  }
  const { maxError, passes } = await checkFiles(c, provider, files, expected);
  for (const file of Object.values(files)) rmSync(file, { force: true });
  result.maxError = maxError;
  if (!c.once) await worker.send({ command: 'time', seconds: WARM_UP_SECONDS });
  if (!passes) result.failure = `wrong result, off by ${maxError.toExponential(1)}`;
}

interface Entry {
  worker: WorkerProcess;
  result: Result;
}

async function timeRounds(
  entries: readonly Entry[],
  rounds: number,
  budgetSeconds: number,
): Promise<void> {
  const spent = new Map<ProviderName, number>();
  for (let round = 0; round < rounds; round++) {
    // Another provider begins each round, so that none always follows the same one.
    for (let n = 0; n < entries.length; n++) {
      const { worker, result } = entries[(n + round) % entries.length]!;
      const used = spent.get(result.provider) ?? 0;
      if (result.failure || (round >= LEAST_ROUNDS && used > budgetSeconds)) continue;
      const start = performance.now();
      // What is judged by its memory is long, and its time is only told.
      const turn = await quietTurn(worker, result.case.once ? 0 : REPEATS);
      spent.set(result.provider, used + (performance.now() - start) / 1000);
      result.failure = turn.failure;
      if (turn.failure) continue;
      result.rounds.push(turn.seconds);
      result.faults.push(turn.faults);
      result.disturbance = Math.max(result.disturbance, turn.disturbance);
      result.peakBytes = worker.peakBytes();
    }
  }
}

/**
 * @param workerOf the running process of a provider, or why there is none
 */
export async function measureCase(
  c: Case,
  workerOf: (provider: ProviderName) => WorkerProcess | string,
  { rounds, budgetSeconds, folder }: Settings,
): Promise<Result[]> {
  const arrays = drawInputs(c);
  const inputs = await writeInputs(folder, arrays);
  const expected = expectedOf(c, arrays);
  const results: Result[] = [];
  const entries: Entry[] = [];
  for (const provider of c.providers) {
    const result: Result = {
      case: c,
      provider,
      rounds: [],
      faults: [],
      maxError: NaN,
      peakBytes: NaN,
      disturbance: 0,
      failure: '',
    };
    results.push(result);
    const worker = workerOf(provider);
    if (typeof worker === 'string') {
      result.failure = worker;
      continue;
    }
    entries.push({ worker, result });
    await prepareAndCheck(worker, result, inputs, expected, folder);
  }
  if (!c.once) await timeRounds(entries, rounds, budgetSeconds);
  for (const { worker } of entries) await worker.send({ command: 'release' });
  for (const result of results) if (result.failure) result.rounds = [];
  return results;
}
