// SPDX-License-Identifier: Apache-2.0
/** What marks and tables make of results. */
import { median } from '../shared/statistics.js';
import { bytesOf, flopOf, isModel, titleOf } from './cases.js';
import type { Case } from './cases.js';
import type { Result } from './measure.js';

/** How a run's calls are timed: by the clock, or on the GPU, whose calls a clock sees only queued. */
export type Clock = 'wall' | 'GPU';

/**
 * Seconds of a call. On the GPU where it has timestamps: a short call's wall time is the time that
 * JavaScript takes to record it.
 */
export function secondsOf(result: Result, clock: Clock): number {
  const onGpu = clock === 'GPU' && Number.isFinite(result.gpuSeconds) && result.gpuSeconds > 0;
  return onGpu ? result.gpuSeconds : median(result.rounds);
}

export const isTimed = ({ rounds }: Result): boolean => rounds.length > 0;

/** FLOP or bytes a second, whichever the case is judged by. */
export function rateOf(result: Result, clock: Clock): number {
  return (flopOf(result.case) || bytesOf(result.case)) / secondsOf(result, clock);
}

/** The case of another mode or dtype, and the same otherwise. */
export const sameBut = (c: Case, change: Partial<Pick<Case, 'mode' | 'dtype'>>): string =>
  titleOf({ ...c, ...change } as Case);

/**
 * The backward pass alone, where both modes were timed: the difference of their medians. tfjs and
 * jax-js have no call that makes gradients without the forward pass.
 */
export function backwardResults(results: readonly Result[]): Result[] {
  const found: Result[] = [];
  for (const both of results) {
    if (both.case.mode !== 'forward + backward' || isModel(both.case) || !isTimed(both)) continue;
    const title = sameBut(both.case, { mode: 'forward' });
    const forward = results.find(
      (other) => other.provider === both.provider && titleOf(other.case) === title,
    );
    if (!forward || !isTimed(forward) || both.provider === 'copy kernel') continue;
    found.push({
      ...both,
      case: { ...both.case, mode: 'backward' },
      rounds: [median(both.rounds) - median(forward.rounds)],
      gpuSeconds: both.gpuSeconds - forward.gpuSeconds,
      dispatches: both.dispatches - forward.dispatches,
      firstSeconds: NaN,
      compileSeconds: NaN,
      peakBytes: NaN,
    });
  }
  return found;
}
