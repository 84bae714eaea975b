// SPDX-License-Identifier: Apache-2.0
import { describe, typeError } from '../spec/errors.js';
import type { MaskPlan } from '../spec/mask.js';
import { bottomRightWindow, causalWindow } from './band.js';
import type { Band } from './band.js';
import { AttentionBias } from './base.js';

/**
 * Causal sliding window, aligned to the last query and key: with `s = Mk - Mq`, query i may attend
 * key j iff `i + s - windowSize < j <= i + s`, so `windowSize` keys, its own included.
 *
 *     3 queries, 5 keys, windowSize 2
 *     0 1 1 0 0
 *     0 0 1 1 0
 *     0 0 0 1 1
 *
 * @example
 * const mask = new attnBias.LowerTriangularFromBottomRightLocalAttentionMask(1024);
 */
export class LowerTriangularFromBottomRightLocalAttentionMask extends AttentionBias {
  static override readonly className: string = 'LowerTriangularFromBottomRightLocalAttentionMask';
  readonly windowSize: number;
  private readonly band: Band;

  /**
   * @param windowSize number of keys that a query may attend.
   * @throws RangeError if `windowSize` is no whole number above 0.
   */
  constructor(windowSize: number) {
    super();
    this.band = causalWindow(this.className, windowSize, 'bottomRight');
    this.windowSize = windowSize;
  }

  plan(): MaskPlan {
    return this.band;
  }
}

/** How many keys a query may attend on either side of its own. */
export interface LocalAttentionWindow {
  windowLeft: number;
  windowRight: number;
}

/**
 * Sliding window to both sides, aligned to the last query and key: with `s = Mk - Mq`, query i may
 * attend key j iff `i + s - windowLeft <= j <= i + s + windowRight`, so up to
 * `windowLeft + 1 + windowRight` keys.
 *
 *     4 queries, 4 keys, windowLeft 1, windowRight 2
 *     1 1 1 0
 *     1 1 1 1
 *     0 1 1 1
 *     0 0 1 1
 *
 * @example
 * const mask = new attnBias.LocalAttentionFromBottomRightMask({windowLeft: 64, windowRight: 64});
 */
export class LocalAttentionFromBottomRightMask extends AttentionBias {
  static override readonly className: string = 'LocalAttentionFromBottomRightMask';
  readonly windowLeft: number;
  readonly windowRight: number;
  private readonly band: Band;

  /**
   * @param window the number of keys to either side.
   * @throws TypeError if `window` is no object; RangeError if a side is no whole number from 0 up.
   */
  constructor(window: LocalAttentionWindow) {
    super();
    if (window === null || typeof window !== 'object') {
      throw typeError({
        op: this.className,
        argument: 'window',
        expected: 'an object {windowLeft, windowRight}',
        got: describe(window),
        mend: 'Pass for example {windowLeft: 64, windowRight: 0}.',
      });
    }
    this.band = bottomRightWindow(this.className, window.windowLeft, window.windowRight);
    this.windowLeft = window.windowLeft;
    this.windowRight = window.windowRight;
  }

  plan(): MaskPlan {
    return this.band;
  }
}
