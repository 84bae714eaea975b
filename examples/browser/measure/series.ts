// SPDX-License-Identifier: Apache-2.0
/** Measures both sides at one length after another, each until something ends it. */
import * as tf from '@tensorflow/tfjs-core';

import { info } from '../../../src/index.js';
import { emptyBufferPool } from '../device/gpu_device.js';
import { breathe } from '../page/breathe.js';
import { reasonOf } from '../page/words.js';
import { whyNotLonger } from './limits.js';
import { measurePoint } from './measure_point.js';
import type { Point } from './measure_point.js';
import { bytesNow } from './memory.js';
import { makeCase } from './op_case.js';
import type { Side } from './op_case.js';
import { lengthWords } from './sizes.js';
import type { OpName, Sizes } from './sizes.js';

export const SIDES: readonly Side[] = ['fused', 'plain'];

export interface SeriesPlan {
  op: OpName;
  hasGradients: boolean;
  /** Bytes that a call may hold. */
  memory: number;
  sizes: Sizes;
}

export type SeriesEvent =
  | { kind: 'begin'; side: Side; length: number }
  | { kind: 'point'; side: Side; point: Point }
  | { kind: 'end'; side: Side; reason: string; hasFailed: boolean };

/** What one buffer can hold; null where the backend does not tell. */
function largestBuffer(): number | null {
  const limits = info().backend === 'webgpu' ? info().webgpu?.limits : undefined;
  if (!limits) return null;
  return Math.min(limits['maxStorageBufferBindingSize']!, limits['maxBufferSize']!);
}

/** One side at one length; nothing of it is left on the device. */
async function measureOne(plan: SeriesPlan, side: Side, length: number): Promise<Point> {
  const before = await bytesNow();
  const opCase = makeCase(plan.op, length, plan.sizes);
  try {
    return await measurePoint(length, side, opCase, plan.hasGradients, before);
  } finally {
    tf.dispose(opCase.inputs);
    emptyBufferPool();
  }
}

/** Ends when both sides have ended, or when whoever takes the events takes no more. */
export async function* measureSeries(plan: SeriesPlan): AsyncGenerator<SeriesEvent> {
  const { op, memory, sizes } = plan;
  const bounds = { memory, largestBuffer: largestBuffer() };
  const points: Record<Side, Point[]> = { fused: [], plain: [] };
  const open = new Set(SIDES);
  for (const length of sizes.lengths) {
    for (const side of SIDES) {
      if (!open.has(side)) continue;
      const reason = whyNotLonger(op, side, length, points[side], sizes, bounds);
      if (reason !== undefined) {
        open.delete(side);
        yield { kind: 'end', side, reason, hasFailed: false };
        continue;
      }
      yield { kind: 'begin', side, length };
      await breathe();
      try {
        const point = await measureOne(plan, side, length);
        points[side].push(point);
        yield { kind: 'point', side, point };
      } catch (error) {
        open.delete(side);
        const words = `at ${lengthWords(op, length)} it failed: ${reasonOf(error)}`;
        yield { kind: 'end', side, reason: words, hasFailed: true };
      }
    }
  }
  const longest = lengthWords(op, sizes.lengths.at(-1)!);
  const reason = `${longest} are the most that this page tries`;
  for (const side of open) yield { kind: 'end', side, reason, hasFailed: false };
}
