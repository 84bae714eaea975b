// SPDX-License-Identifier: Apache-2.0
/** Why a series goes no further, in words, before the device is asked for more than it has. */
import { byteWords, timeWords } from '../page/words.js';
import type { Point } from './measure_point.js';
import { largestTensor } from './op_case.js';
import type { Side } from './op_case.js';
import { lengthWords } from './sizes.js';
import type { OpName, Sizes } from './sizes.js';

export interface Bounds {
  /** Bytes of the largest buffer that the device makes; null where nothing tells. */
  largestBuffer: number | null;
  /** Bytes that a call may hold. */
  memory: number;
}

/** Twice the length is four times the time in attention; less where a call is mostly spent on being called. */
function timeGrowth(op: OpName, [before, last]: readonly (Point | undefined)[]): number {
  const most = op === 'attention' ? 4 : 2;
  if (!before || !last) return most;
  return Math.min(most, Math.max(most / 2, last.milliseconds / before.milliseconds));
}

/** And four times the memory where there is a table of scores. */
function memoryGrowth(op: OpName, side: Side): number {
  return op === 'attention' && side === 'plain' ? 4 : 2;
}

/**
 * @param points what the side took at lengths before, the last one at half of `length`
 * @returns undefined if nothing speaks against it
 */
export function whyNotLonger(
  op: OpName,
  side: Side,
  length: number,
  points: readonly Point[],
  sizes: Sizes,
  bounds: Bounds,
): string | undefined {
  const tensor = largestTensor(op, side, length, sizes);
  const at = `at ${lengthWords(op, length)}`;
  if (bounds.largestBuffer !== null && tensor > bounds.largestBuffer) {
    const what = op === 'attention' && side === 'plain' ? 'its table of scores' : 'one tensor';
    const [takes, holds] = [byteWords(tensor), byteWords(bounds.largestBuffer)];
    const buffer = 'the largest buffer of this device';
    const compared = takes === holds ? `a little more than ${buffer}` : `and ${buffer} ${holds}`;
    return `${at} ${what} takes ${takes}, ${compared}`;
  }
  const last = points.at(-1);
  if (!last) return undefined;
  const bytes = last.bytes * memoryGrowth(op, side);
  if (bytes > bounds.memory) {
    return `${at} it would hold about ${byteWords(bytes)}, more than the ${byteWords(bounds.memory)} that it may take`;
  }
  const milliseconds = last.milliseconds * timeGrowth(op, points.slice(-2));
  if (milliseconds > sizes.longestCall) {
    return `${at} a call would take about ${timeWords(milliseconds)}, longer than the ${timeWords(sizes.longestCall)} that this page waits`;
  }
  return undefined;
}
