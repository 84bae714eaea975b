// SPDX-License-Identifier: Apache-2.0
/** The four shapes that a block of a mask can have, as the window and alignment of a MaskPlan. */
import { UNBOUNDED } from '../spec/mask.js';
import type { MaskAlign, MaskPlan } from '../spec/mask.js';
import { describe, rangeError } from '../spec/errors.js';

/** The part of a plan that says what is visible inside one block. */
export type Band = Pick<MaskPlan, 'windowLeft' | 'windowRight' | 'align'>;

/** j <= i. */
export const CAUSAL: Band = Object.freeze({
  windowLeft: UNBOUNDED,
  windowRight: 0,
  align: 'topLeft',
});

/** j <= i + s. */
export const CAUSAL_FROM_BOTTOM_RIGHT: Band = Object.freeze({
  windowLeft: UNBOUNDED,
  windowRight: 0,
  align: 'bottomRight',
});

/** i + s - windowSize < j <= i + s, with s = 0 at the top left: `windowSize` keys, the own one too. */
export function causalWindow(op: string, windowSize: number, align: MaskAlign): Band {
  if (!Number.isInteger(windowSize) || windowSize <= 0) {
    throw rangeError({
      op,
      argument: 'windowSize',
      expected: 'a whole number above 0',
      got: describe(windowSize),
      mend: 'It is the number of keys that a query may attend: 1 means only its own.',
    });
  }
  return Object.freeze({ windowLeft: Math.min(windowSize - 1, UNBOUNDED), windowRight: 0, align });
}

/** i + s - windowLeft <= j <= i + s + windowRight. */
export function bottomRightWindow(op: string, windowLeft: number, windowRight: number): Band {
  return Object.freeze({
    windowLeft: windowSide(op, 'windowLeft', windowLeft),
    windowRight: windowSide(op, 'windowRight', windowRight),
    align: 'bottomRight',
  });
}

function windowSide(op: string, argument: string, keys: number): number {
  if (!Number.isInteger(keys) || keys < 0) {
    throw rangeError({
      op,
      argument,
      expected: 'a whole number, 0 or above',
      got: describe(keys),
      mend: 'It is the number of keys that a query may attend on that side of its own.',
    });
  }
  return Math.min(keys, UNBOUNDED);
}
