// SPDX-License-Identifier: Apache-2.0
/** whyNotFused, options.requireFused, and the warning of a fall-back to plain tfjs ops. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { memoryEfficientAttention, whyNotFused } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { withoutLeak } from '../support/leaks.js';
import { expectRejection } from '../support/rejection.js';

/** What console.warn is called with while `f` runs. */
function warningsOf(f: () => void): string[] {
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (...words: unknown[]) => void warnings.push(words.join(' '));
  try {
    f();
  } finally {
    console.warn = warn;
  }
  return warnings;
}

export function suite(_backend: TestBackend): void {
  describe('fall-back to plain tfjs ops', () => {
    it('whyNotFused, requireFused and the warning agree', async () => {
      await withoutLeak(() => {
        const x = tf.zeros([1, 3, 2, 32]);
        const reasons = whyNotFused('memoryEfficientAttention', [x, x, x]);
        const call = (requireFused: boolean) => () =>
          memoryEfficientAttention(x, x, x, null, { requireFused });
        if (reasons.length === 0) {
          expect(warningsOf(() => tf.dispose(tf.tidy(call(true)) as tf.Tensor))).to.deep.equal([]);
        } else {
          expectRejection(
            call(true),
            RangeError,
            /^memoryEfficientAttention: .*requireFused.*, got /,
          );
          const twice = (): void => {
            tf.dispose(tf.tidy(call(false)) as tf.Tensor);
            tf.dispose(tf.tidy(call(false)) as tf.Tensor);
          };
          // Another suite may have had the one warning already.
          expect(warningsOf(twice).length).to.be.at.most(reasons.length);
          expect(warningsOf(twice)).to.deep.equal([]);
        }
        x.dispose();
      });
    });

    it('whyNotFused checks its arguments as the op does', async () => {
      await withoutLeak(() => {
        const x = tf.zeros([1, 3, 2, 32]);
        const flat = tf.zeros([3, 32]);
        expectRejection(
          () => whyNotFused('memoryEfficientAttention', [flat, x, x]),
          RangeError,
          /query must be of rank 3, 4 or 5/,
        );
        tf.dispose([x, flat]);
      });
    });
  });
}
