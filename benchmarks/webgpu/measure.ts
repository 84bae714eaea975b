// SPDX-License-Identifier: Apache-2.0
/**
 * One case: every provider prepares and is checked, then they are timed in turn, round after round.
 * A turn is some calls one after the other and a wait for the device; its figure is the time over the
 * number of calls. What is too slow for many turns has few of them.
 */
import { checkOutputs } from '../shared/check.js';
import { drawInputs } from '../shared/inputs.js';
import type { Arrays } from '../shared/inputs.js';
import { expectedOf } from '../shared/reference.js';
import type { Expected } from '../shared/reference.js';
import type { Work } from '../shared/work.js';
import type { Case, ProviderName } from './cases.js';
import { measureFootprint } from './probe.js';
import type { Provider } from './provider.js';

export interface Settings {
  rounds: number;
  /** A turn has as many calls as fill this. */
  turnSeconds: number;
  /** A provider's rounds of a case end when they have taken this long. */
  budgetSeconds: number;
}

export interface Result {
  case: Case;
  provider: ProviderName;
  /** Seconds of a call: one figure for each round; none if it failed. */
  rounds: number[];
  /** Seconds of the first call, with all that it compiles. */
  firstSeconds: number;
  gpuSeconds: number;
  peakBytes: number;
  dispatches: number;
  maxError: number;
  failure: string;
}

const MAX_CALLS = 200;

interface Entry {
  result: Result;
  provider: Provider;
  work: Work;
  /** Calls of a turn. */
  calls: number;
  /** Seconds that the provider has had. */
  spent: number;
}

const now = () => performance.now() / 1000;

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

/** What the device complains about while `f` runs; '' if nothing. */
async function complaint(device: GPUDevice, f: () => Promise<void>): Promise<string> {
  const filters = ['validation', 'out-of-memory', 'internal'] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  let thrown = '';
  try {
    await f();
  } catch (error) {
    thrown = error instanceof Error ? error.message : String(error);
  }
  const errors: string[] = [];
  while (errors.length < filters.length) {
    errors.push((await device.popErrorScope())?.message ?? '');
  }
  return (thrown || errors.find(Boolean) || '').split('\n')[0]!;
}

async function checkAndWarmUp(
  device: GPUDevice,
  entry: Entry,
  expected: Expected | null,
  { turnSeconds }: Settings,
): Promise<void> {
  const { result, work } = entry;
  let outputs: Arrays = {};
  result.failure = await complaint(device, async () => {
    const start = now();
    outputs = await work.outputs();
    result.firstSeconds = now() - start;
  });
  if (result.failure) return;
  if (expected) {
    const { maxError, passes } = checkOutputs(result.case, result.provider, outputs, expected);
    result.maxError = maxError;
    if (!passes) {
      result.failure = `wrong result, off by ${maxError.toExponential(1)}`;
      return;
    }
  }
  const seconds = await callTimes(device, entry, 1);
  entry.calls = Math.max(1, Math.min(MAX_CALLS, Math.ceil(turnSeconds / seconds)));
  const footprint = await measureFootprint(device, async () => {
    await callTimes(device, entry, 1);
  });
  Object.assign(result, footprint);
}

async function timeRounds(
  device: GPUDevice,
  entries: readonly Entry[],
  { rounds, budgetSeconds }: Settings,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    // Another provider begins each round, so that none always follows the same one.
    for (let n = 0; n < entries.length; n++) {
      const entry = entries[(n + round) % entries.length]!;
      if (entry.result.failure || (round > 0 && entry.spent > budgetSeconds)) continue;
      const seconds = await callTimes(device, entry, entry.calls);
      entry.spent += seconds * entry.calls;
      entry.result.rounds.push(seconds);
    }
  }
}

/** @param providers those that run, or why they do not */
export async function measureCase(
  device: GPUDevice,
  c: Case,
  providers: ReadonlyMap<ProviderName, Provider | string>,
  settings: Settings,
): Promise<Result[]> {
  const inputs = drawInputs(c);
  const expected = expectedOf(c, inputs);
  const entries: Entry[] = [];
  const results: Result[] = [];
  for (const name of c.providers) {
    const result: Result = {
      case: c,
      provider: name,
      rounds: [],
      firstSeconds: NaN,
      gpuSeconds: NaN,
      peakBytes: NaN,
      dispatches: NaN,
      maxError: NaN,
      failure: '',
    };
    results.push(result);
    const provider = providers.get(name) ?? 'absent';
    if (typeof provider === 'string') {
      result.failure = provider;
      continue;
    }
    let work: Work | string = '';
    result.failure = await complaint(device, async () => {
      work = await provider.prepare(c, inputs);
    });
    // TypeScript does not see the assignment in the callback.
    const prepared = work as Work | string;
    if (typeof prepared === 'string') {
      result.failure ||= prepared;
      continue;
    }
    const entry = { result, provider, work: prepared, calls: 1, spent: 0 };
    entries.push(entry);
    const isLimit = name === 'copy kernel';
    if (!result.failure) await checkAndWarmUp(device, entry, isLimit ? null : expected, settings);
  }
  await timeRounds(device, entries, settings);
  for (const { work, provider } of entries) {
    await work.release();
    provider.tidyUp?.();
  }
  return results;
}
