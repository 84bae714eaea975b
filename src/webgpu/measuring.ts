// SPDX-License-Identifier: Apache-2.0
/**
 * What `autotune` does on a device: the calls say which choices they make (as rehearsal.ts has them say which
 * programs they need), and each choice is made by running its call with every candidate. The others stay
 * as they are meanwhile. This file knows no kernel.
 */
import { backend, dispose } from '@tensorflow/tfjs-core';
import { VERSION } from '../version.js';
import type { ChoiceStore, TunedChoice } from './autotune.js';
import { webgpuBackend } from './backend.js';
import type { WebGPUBackend } from './backend.js';
import { candidatesOf } from './candidates.js';
import type { Choice } from './candidates.js';
import { choicesOf, tableOf } from './choices.js';
import { programsOf } from './dispatcher.js';
import { compileCalls, makeCall, rehearse } from './rehearsal.js';
import { deviceFacts } from './tuning.js';
import type { Ops } from './warmup.js';
import type { WarmupSpec } from './warmup_spec.js';

const ROUNDS = 3;
/** Candidates that take so many times the best one's time have no further round. */
const HOPELESS = 1.5;
/** A candidate has to be so much better than the preferred one, as times vary. */
const CLEARLY = 0.97;
/** Seconds that the calls of one turn take together, at least. */
const TURN = 0.01;
const MOST_CALLS = 50;

export interface Contest {
  winner: number;
  /** Of each candidate, the least that was measured; Infinity if it failed. */
  seconds: number[];
}

/**
 * The fastest of `count` candidates, of which the first is preferred. They take turns, so that what
 * slows the machine for a while slows them all.
 * @param time seconds of a candidate's call; may reject, if it does not run.
 */
export async function contest(
  count: number,
  time: (candidate: number) => Promise<number>,
): Promise<Contest> {
  const seconds = Array.from({ length: count }, () => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    for (let n = 0; n < count; n++) {
      if (round > 0 && !(seconds[n]! <= HOPELESS * Math.min(...seconds))) continue;
      seconds[n] = Math.min(seconds[n]!, await time(n).catch(() => Infinity));
    }
  }
  const best = seconds.indexOf(Math.min(...seconds));
  return { winner: seconds[best]! < CLEARLY * seconds[0]! ? best : 0, seconds };
}

/** The same device, facts and version have the same entry. */
function entryOf(device: GPUDevice): string {
  const { vendor, architecture, device: model, description } = device.adapterInfo ?? {};
  return JSON.stringify([
    'tfjs-xformers',
    VERSION,
    vendor,
    architecture,
    model,
    description,
    deviceFacts(device),
  ]);
}

/** What an entry holds of choices; nothing if it is no such entry. Candidates that are none are no matter: see pick. */
export function readEntry(text: string | null): Map<string, string> {
  try {
    const entry: unknown = JSON.parse(text ?? '{}');
    if (typeof entry !== 'object' || entry === null) return new Map();
    const valid = Object.entries(entry).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    );
    for (const [, chosen] of valid) JSON.parse(chosen);
    return new Map(valid);
  } catch {
    return new Map();
  }
}

async function finished(backend: WebGPUBackend): Promise<void> {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  await backend.queue.onSubmittedWorkDone();
}

/** Seconds of one call, by as many as fill a turn. */
async function secondsOf(run: () => void, backend: WebGPUBackend): Promise<number> {
  const turn = async (calls: number) => {
    const start = performance.now();
    for (let n = 0; n < calls; n++) run();
    await finished(backend);
    return (performance.now() - start) / 1000 / calls;
  };
  const once = await turn(1);
  return turn(Math.max(1, Math.min(MOST_CALLS, Math.ceil(TURN / once))));
}

async function decide(
  ops: Ops,
  spec: WarmupSpec,
  name: string,
  candidates: readonly unknown[],
  backend: WebGPUBackend,
): Promise<TunedChoice> {
  const table = tableOf(backend.device);
  const { tensors, run } = makeCall(ops, spec);
  try {
    const { winner, seconds } = await contest(candidates.length, async (n) => {
      table.set(name, JSON.stringify(candidates[n]));
      await compileCalls(ops, [spec]);
      return secondsOf(run, backend);
    });
    table.set(name, JSON.stringify(candidates[winner]));
    return {
      ...{ name, chosen: candidates[winner], candidates: candidates.length },
      ...{ seconds: seconds[winner]!, preferredSeconds: seconds[0]! },
    };
  } finally {
    dispose(tensors);
  }
}

/** A page may be forbidden to have storage, which shows when it is asked for. */
function storeOfPage(): ChoiceStore | null {
  try {
    return typeof document === 'undefined' ? null : localStorage;
  } catch {
    return null;
  }
}

/**
 * Makes all choices of the calls. The backend must be `webgpu`.
 * @param keptIn where they are kept; default: what the page has.
 */
export async function tuneCalls(
  ops: Ops,
  specs: readonly WarmupSpec[],
  keptIn: ChoiceStore | null | undefined,
): Promise<TunedChoice[]> {
  const store = keptIn === undefined ? storeOfPage() : keptIn;
  const running = webgpuBackend(backend());
  const { device } = running;
  const table = tableOf(device);
  const entry = entryOf(device);
  const kept = readEntry(store?.getItem(entry) ?? null);
  const tuned: TunedChoice[] = [];
  for (const spec of specs) {
    let choices = new Map<string, Choice<unknown>>();
    programsOf(() => (choices = choicesOf(() => rehearse(ops, spec))));
    for (const [name, choice] of choices) {
      const candidates = candidatesOf(choice);
      const before = table.get(name) ?? kept.get(name);
      const chosen = candidates.find((candidate) => JSON.stringify(candidate) === before);
      if (candidates.length === 1) continue;
      if (before !== undefined && chosen !== undefined) {
        table.set(name, before);
        tuned.push({
          name,
          chosen,
          candidates: candidates.length,
          seconds: null,
          preferredSeconds: null,
        });
      } else {
        tuned.push(await decide(ops, spec, name, candidates, running));
      }
    }
  }
  try {
    store?.setItem(entry, JSON.stringify(Object.fromEntries([...kept, ...table])));
  } catch {
    // A store that is full or forbidden: the choices are made all the same.
  }
  return tuned;
}
