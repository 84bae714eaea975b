// SPDX-License-Identifier: Apache-2.0
/**
 * One case: every provider prepares and is checked, then they are timed in turn, round after round.
 * A turn is some calls one after the other and a wait for the device; its figure is the time over the
 * number of calls. What is too slow for many turns has few of them.
 */
import { checkOutputs, compareAll } from '../shared/check.js';
import type { Check } from '../shared/check.js';
import { drawInputs } from '../shared/inputs.js';
import type { Arrays } from '../shared/inputs.js';
import { expectedOf } from '../shared/reference.js';
import type { Expected } from '../shared/reference.js';
import type { Work } from '../shared/work.js';
import { isModel } from './cases.js';
import type { Case, ProviderName } from './cases.js';
import { measureFootprint, slowestCompile } from './probe.js';
import type { Footprint } from './probe.js';
import type { Feasibility } from './feasibility.js';
import type { Provider } from './provider.js';

export interface Settings {
  rounds: number;
  /** A turn has as many calls as fill this. */
  turnSeconds: number;
  /** A provider's rounds of a case end when they have taken this long. */
  budgetSeconds: number;
}

export interface Result extends Footprint {
  case: Case;
  provider: ProviderName;
  /** Seconds of a call: one figure for each round; none if it failed. */
  rounds: number[];
  /** Seconds of the first call, with all that it compiles. */
  firstSeconds: number;
  /** Seconds of the pipeline that took longest to compile; NaN where it cannot be told. */
  compileSeconds: number;
  maxError: number;
  failure: string;
}

/** What all cases of a run have in common. */
export interface Bench {
  device: GPUDevice;
  /** Those that run, or why they do not. */
  providers: ReadonlyMap<ProviderName, Provider | string>;
  feasibility: Feasibility;
  settings: Settings;
  /** Tells who comes next. */
  announce: (provider: ProviderName) => void | Promise<void>;
}

const MAX_CALLS = 200;
/** Calls that the time on the GPU is the mean of, where they are short. */
const GPU_CALLS = 10;
/** A call that takes this long is made twice: to be checked, and to be measured. */
const SLOW_SECONDS = 4;

interface Entry {
  result: Result;
  provider: Provider;
  work: Work;
  /** Calls of a turn; 0 if there is to be none. */
  calls: number;
  /** Seconds that the provider has had. */
  spent: number;
}

/** What a case has to give, and how near one has to come. */
type Examine = (provider: ProviderName, outputs: Arrays) => Check | null;

const now = () => performance.now() / 1000;

export function emptyResult(c: Case, provider: ProviderName, failure = ''): Result {
  return {
    case: c,
    provider,
    rounds: [],
    firstSeconds: NaN,
    compileSeconds: NaN,
    gpuSeconds: NaN,
    peakBytes: NaN,
    dispatches: NaN,
    maxError: NaN,
    failure,
  };
}

async function callTimes(device: GPUDevice, { work, provider }: Entry, calls: number) {
  const start = now();
  for (let n = 0; n < calls; n++) {
    const pending = work.run();
    if (pending) await pending;
  }
  provider.flush?.();
  await device.queue.onSubmittedWorkDone();
  return (now() - start) / calls;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** What the device or the provider complains about while `f` runs; '' if nothing. */
async function complaint(device: GPUDevice, f: () => Promise<void>): Promise<string> {
  const filters = ['validation', 'out-of-memory', 'internal'] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const errors: string[] = [];
  await f().catch((error: unknown) => errors.push(messageOf(error)));
  for (let n = 0; n < filters.length; n++) {
    errors.push((await device.popErrorScope())?.message ?? '');
  }
  return errors.find(Boolean)?.split('\n')[0] ?? '';
}

/** Against float64; of a model, whose reference would take hours, against the first that computes it. */
function examiner(c: Case, inputs: Arrays): Examine {
  if (!isModel(c)) {
    const expected = expectedOf(c, inputs);
    return (provider, outputs) =>
      provider === 'copy kernel' ? null : checkOutputs(c, provider, outputs, expected);
  }
  let expected: Expected | null = null;
  return (_, outputs) => {
    if (expected) return compareModels(outputs, expected);
    expected = {};
    for (const [name, values] of Object.entries(outputs)) expected[name] = [{ start: 0, values }];
    return null;
  };
}

const MODEL_TOLERANCE = 2e-3;

/** To a part of each array's largest value. */
function compareModels(got: Arrays, expected: Expected): Check {
  const largest = (name: string) => {
    let most = 0;
    for (const { values } of expected[name]!) {
      for (let n = 0; n < values.length; n++) most = Math.max(most, Math.abs(values[n]!));
    }
    return most;
  };
  return compareAll(got, expected, (name) => ({
    absolute: MODEL_TOLERANCE * largest(name),
    relative: MODEL_TOLERANCE,
  }));
}

async function check(device: GPUDevice, { result, work }: Entry, examine: Examine): Promise<void> {
  let outputs: Arrays = {};
  result.failure = await complaint(device, async () => {
    result.compileSeconds = await slowestCompile(device, async () => {
      const start = now();
      outputs = await work.outputs();
      result.firstSeconds = now() - start;
    });
  });
  if (result.failure) return;
  const verdict = examine(result.provider, outputs);
  if (!verdict) return;
  result.maxError = verdict.maxError;
  if (!verdict.passes) result.failure = `wrong result, off by ${verdict.maxError.toExponential(1)}`;
}

/** The second call, with its footprint; a third, which tells how many make a turn. */
async function warmUp(device: GPUDevice, entry: Entry, { turnSeconds }: Settings): Promise<void> {
  const { result } = entry;
  let seconds = 0;
  const call = async () => {
    seconds = await callTimes(device, entry, 1);
  };
  Object.assign(result, await measureFootprint(device, call));
  if (seconds > SLOW_SECONDS) {
    result.rounds.push(seconds);
    return;
  }
  await call();
  entry.calls = Math.max(1, Math.min(MAX_CALLS, Math.ceil(turnSeconds / seconds)));
  const calls = Math.min(entry.calls, GPU_CALLS);
  if (calls === 1) return;
  const more = await measureFootprint(device, async () => {
    await callTimes(device, entry, calls);
  });
  result.gpuSeconds = more.gpuSeconds / calls;
}

async function timeRounds(entries: readonly Entry[], { device, settings, announce }: Bench) {
  for (let round = 0; round < settings.rounds; round++) {
    // Another provider begins each round, so that none always follows the same one.
    for (let n = 0; n < entries.length; n++) {
      const entry = entries[(n + round) % entries.length]!;
      const { result } = entry;
      if (result.failure || (round > 0 && entry.spent > settings.budgetSeconds)) continue;
      if (entry.calls === 0) continue;
      if (round === 0) await announce(result.provider);
      const seconds = await callTimes(device, entry, entry.calls);
      entry.spent += seconds * entry.calls;
      result.rounds.push(seconds);
    }
  }
}

/** Why a provider does not even prepare the case; '' if it does. */
function objection(c: Case, name: ProviderName, { providers, feasibility }: Bench): string {
  const provider = providers.get(name) ?? 'absent';
  return typeof provider === 'string' ? provider : feasibility.objection(c, name);
}

/** @returns the entry, if there is something to time */
async function prepare(
  c: Case,
  result: Result,
  inputs: Arrays,
  { device, providers }: Bench,
): Promise<Entry | null> {
  if (result.failure) return null;
  const provider = providers.get(result.provider) as Provider;
  const found: { work: Work | string } = { work: '' };
  result.failure = await complaint(device, async () => {
    found.work = await provider.prepare(c, inputs);
  });
  const { work } = found;
  if (typeof work === 'string') {
    result.failure ||= work;
    return null;
  }
  return { result, provider, work, calls: 0, spent: 0 };
}

/**
 * Bytes and dispatches of a model, or of this package's attention, that would take too long, from a call that
 * is recorded and not run. What it makes holds nothing of use.
 */
async function countUnrun(c: Case, result: Result, bench: Bench): Promise<void> {
  const { device, providers, feasibility } = bench;
  const isCounted = isModel(c) || (c.op === 'attention' && result.provider === 'tfjs-xformers');
  if (!isCounted || !feasibility.isOnlySlow(c, result.provider)) return;
  const provider = providers.get(result.provider) as Provider;
  const work = await provider.prepare(c, isModel(c) ? {} : drawInputs(c));
  if (typeof work === 'string') return;
  const call = async () => {
    await work.run();
    provider.flush?.();
  };
  Object.assign(result, await measureFootprint(device, call, false));
  await work.release();
  provider.tidyUp?.();
}

async function release({ work, provider, result }: Entry): Promise<void> {
  try {
    await work.release();
    provider.tidyUp?.();
  } catch (error) {
    // What was measured stands.
    console.error(`${result.provider} did not release a case: ${messageOf(error)}`);
  }
}

export async function measureCase(c: Case, bench: Bench): Promise<Result[]> {
  const { device, settings, feasibility } = bench;
  const results = c.providers.map((name) => emptyResult(c, name, objection(c, name, bench)));
  for (const result of results) {
    if (result.failure) await countUnrun(c, result, bench);
  }
  // The reference of a case takes its time, too.
  if (results.every(({ failure }) => failure)) return results;
  const inputs = isModel(c) ? {} : drawInputs(c);
  const examine = examiner(c, inputs);
  const entries: Entry[] = [];
  for (const result of results) {
    await bench.announce(result.provider);
    const entry = await prepare(c, result, inputs, bench);
    if (!entry) continue;
    entries.push(entry);
    if (!result.failure) await check(device, entry, examine);
    if (result.failure) continue;
    result.failure = await complaint(device, () => warmUp(device, entry, settings));
  }
  await timeRounds(entries, bench);
  for (const entry of entries) {
    const { result } = entry;
    if (result.failure) result.rounds = [];
    for (const seconds of result.rounds) feasibility.learn(c, result.provider, seconds);
    await release(entry);
  }
  return results;
}
