// SPDX-License-Identifier: Apache-2.0
import { getBackend } from '@tensorflow/tfjs-core';
import { checkOptions } from '../ops/arguments.js';
import { describe, typeError } from '../spec/errors.js';
import { webgpuPart } from './loading.js';
import { ready } from './ready.js';
import { OPS } from './warmup.js';
import { checkSpecs } from './warmup_spec.js';
import type { WarmupSpec } from './warmup_spec.js';

/** Where choices are kept from one run to the next: the Web's `localStorage`, or anything like it. */
export interface ChoiceStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

export interface AutotuneOptions {
  /** Default: `localStorage` in pages, none elsewhere. null keeps nothing. */
  store?: ChoiceStore | null | undefined;
}

/** A choice that was made, by measuring or by what was kept. */
export interface TunedChoice {
  /** The kernel, and the shapes that the choice holds for. */
  name: string;
  /** What was chosen: a tile, or a number of threads. */
  chosen: unknown;
  /** How many there were to choose from. */
  candidates: number;
  /** Seconds of the spec's call with what was chosen; null if it was not measured again. */
  seconds: number | null;
  /** The same, with what is taken without autotune. */
  preferredSeconds: number | null;
}

const OP = 'autotune';

function isStore(value: unknown): value is ChoiceStore {
  const store = value as Partial<ChoiceStore> | null;
  return typeof store?.getItem === 'function' && typeof store.setItem === 'function';
}

function checkStore(store: unknown): void {
  if (store === undefined || store === null || isStore(store)) return;
  throw typeError({
    op: OP,
    argument: 'options.store',
    expected: 'an object with getItem and setItem, or null',
    got: describe(store),
    mend: 'Leave it out for localStorage, or give null to keep nothing.',
  });
}

/**
 * Measures on the spot which of its tiles and variants are fastest for the given calls, and has the calls
 * that follow use them. Results are the same but for the order of sums. It compiles every candidate and runs
 * it some times, which takes seconds; do it once, before work begins, when nothing else keeps the GPU busy.
 *
 * A choice holds for the device, the version of this package, head dims, dtype and kind of mask, and for lengths
 * up to the next power of two. What was chosen before is not measured again: it is kept for as long as the device
 * lives, and in `options.store` beyond that. Entries of other devices or versions, and damaged ones, are ignored.
 *
 * @param specs the calls, as for `warmup`, with the shapes that matter; `gradient: true` measures backward passes too.
 * @param options see AutotuneOptions.
 * @returns the choices, in the order of the specs; none on other backends than `webgpu`.
 * @throws (as a rejection) TypeError or RangeError for specs or options that are none, and on `webgpu`
 *   whatever the calls themselves would throw.
 * @example
 * await autotune([
 *   { op: 'memoryEfficientAttention', shapes: [[1, 1024, 8, 64]], gradient: true },
 *   { op: 'memoryEfficientAttention', shapes: [[1, 1, 8, 64], [1, 4096, 8, 64], [1, 4096, 8, 64]] },
 * ]);
 */
export async function autotune(
  specs: readonly WarmupSpec[],
  options: AutotuneOptions = {},
): Promise<TunedChoice[]> {
  checkSpecs(specs, OP);
  checkOptions(OP, options, ['store']);
  checkStore(options.store);
  await ready();
  if (getBackend() !== 'webgpu') return [];
  const { tuneCalls } = await webgpuPart(OP);
  return tuneCalls(OPS, specs, options.store);
}
