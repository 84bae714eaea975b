// SPDX-License-Identifier: Apache-2.0
/** The table of the comparison, what it means, and the last line of the quickstart. */
import * as tf from '@tensorflow/tfjs-core';

import { attnBias, toBFloat16, whyNotFused } from '../../src/index.js';
import type { Measured } from './compare.js';
import { memoryKind } from '../../src/cli/bench/memory.js';
import { PORTABLE, hasNative } from './native.js';
import type { Plan } from './options.js';
import { grouped } from '../shared/progress.js';
import { formatTable, megabytes, milliseconds } from '../shared/table.js';

/** What training came to. */
export interface Outcome {
  /** In nats per character. */
  loss: number;
  entropy: number;
  tokensPerSecond: number;
}

/** Why attention runs as tfjs ops on this backend; empty if it runs as a fused kernel. */
function reasonsNotFused({ width, heads }: Plan['model']): string[] {
  return tf.tidy(() => {
    const x = toBFloat16(tf.zeros([1, 1, heads, width / heads]));
    const causal = new attnBias.LowerTriangularMask();
    return whyNotFused('memoryEfficientAttention', [x, x, x], causal);
  });
}

/** "1.50× faster", or "1.50× slower": how the first of two amounts compares with the second. */
function compared(amount: number, other: number, less: string, more: string): string {
  const ratio = other / amount;
  return ratio >= 1 ? `${ratio.toFixed(2)}× ${less}` : `${(1 / ratio).toFixed(2)}× ${more}`;
}

/** Prints the table: this package's kernels first, plain tfjs last, between them portable ones beside native ones. */
export function printComparison(measured: readonly Measured[], plan: Plan, outcome: Outcome): void {
  const [ours, plain] = [measured[0]!, measured.at(-1)!];
  const tokens = plan.rows * plan.model.context;
  const lossTitle = `loss after ${plan.comparedSteps} steps (nats)`;
  const header = ['', 'step, median', 'p20–p80', 'tokens/s', 'peak memory', lossTitle];
  const rows = measured.map((each) => [
    each.name,
    milliseconds(each.median),
    `${milliseconds(each.p20)} – ${milliseconds(each.p80)}`,
    grouped((tokens * 1000) / each.median),
    megabytes(each.peakBytes),
    each.loss.toFixed(4),
  ]);
  console.log(`\n${formatTable(header, rows)}\n`);
  console.log(
    `A step is forward, backward and Adam on ${plan.rows} × ${plan.model.context} characters. All models begin with ` +
      `the same weights and take turns;\nthe first step of each is not counted. Peak memory: ${memoryKind()} held ` +
      `during a step, weights and Adam's moments included.\nThe whole process came to ` +
      `${megabytes(process.resourceUsage().maxRSS * 1024)} of resident memory.`,
  );
  const reasons = reasonsNotFused(plan.model);
  if (hasNative()) {
    console.log(
      `native: the kernels of the native library. ${PORTABLE}: what serves where there is none, ` +
        "tfjs' ops in chunks that bound their memory.",
    );
  } else if (reasons.length > 0) {
    console.log(
      `Here this package's kernels are tfjs' ops in chunks that bound their memory: ${reasons.join('; ')}.` +
        (ours.median > plain.median ? '\nSo they are no faster than plain ones.' : ''),
    );
  }
  const speed = compared(ours.median, plain.median, 'faster', 'slower');
  const memory = compared(ours.peakBytes, plain.peakBytes, 'less memory', 'more memory');
  console.log(
    `\nDone: validation loss ${outcome.loss.toFixed(3)} nats per character (unigram entropy ` +
      `${outcome.entropy.toFixed(3)}) at ${grouped(outcome.tokensPerSecond)} tokens/s; ` +
      `against plain tfjs ops ${speed}, ${memory}.`,
  );
}
