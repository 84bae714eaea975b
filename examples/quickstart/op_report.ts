// SPDX-License-Identifier: Apache-2.0
/** The table of single ops. */
import { memoryKind } from '../../src/cli/bench/memory.js';
import type { OpResult } from './ops.js';
import type { OpSizes } from './options.js';
import { grouped } from '../shared/progress.js';
import { formatTable, megabytes, milliseconds } from '../shared/table.js';

export function printOps(results: readonly OpResult[], sizes: OpSizes): void {
  const header = ['', 'forward', 'with gradients', 'peak memory', 'error'];
  const rows = results.map((each) => [
    `${each.title}, ${each.kernels}`,
    milliseconds(each.forward),
    milliseconds(each.both),
    megabytes(each.peakBytes),
    each.error.toExponential(1),
  ]);
  const { tokens, heads, headDim, rows: normed, channels, rounds } = sizes;
  console.log(`\nSingle ops, float32\n\n${formatTable(header, rows)}\n`);
  console.log(
    `Attention is over ${grouped(tokens)} tokens with ${heads} heads of ${headDim}, the norm over ` +
      `${grouped(normed)} rows of ${grouped(channels)}. Medians of ${rounds} calls, in turns. Peak memory:\n` +
      `${memoryKind()} held during a call with gradients, inputs included. Error: the greatest difference from float64 ` +
      'in some rows.',
  );
}
