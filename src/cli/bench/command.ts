// SPDX-License-Identifier: Apache-2.0
/** `tfjs-xformers bench`. */
import { clearProgress } from '../progress.js';
import { isSound, runBench } from './bench.js';
import type { BenchOptions } from './bench.js';
import { benchLines } from './report.js';

/** Measures and prints. @returns the exit code */
export async function printBench(options: BenchOptions, asJson: boolean): Promise<number> {
  const report = await runBench(options);
  clearProgress();
  console.log(asJson ? JSON.stringify(report, null, 2) : benchLines(report).join('\n'));
  return isSound(report) ? 0 : 1;
}
