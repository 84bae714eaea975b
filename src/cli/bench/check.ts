// SPDX-License-Identifier: Apache-2.0
/** Results are compared with those of plain tfjs before anything is timed. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { compute } from './calls.js';
import type { Candidate } from './op.js';

export interface Results {
  output: Float32Array;
  gradients: Float32Array[];
}

/** Output and gradients in the layout of the first candidate. */
export async function resultsOf(candidate: Candidate, dy: Tensor): Promise<Results> {
  const read = async (mode: 'forward' | 'forwardBackward') => {
    const { toFirst = (x: Tensor) => x } = candidate;
    const computed = tf.tidy(() => compute(candidate, mode, dy).map((x) => tf.clone(toFirst(x))));
    const values = await Promise.all(computed.map((x) => x.data<'float32'>()));
    tf.dispose(computed);
    return values;
  };
  const [output] = await read('forward');
  return { output: output!, gradients: await read('forwardBackward') };
}

/** The largest difference, as a share of the largest value; NaN if anything is. */
function difference(got: Float32Array, wanted: Float32Array): number {
  let [worst, largest] = [0, Number.MIN_VALUE];
  for (const [i, value] of wanted.entries()) {
    worst = Math.max(worst, Math.abs(got[i]! - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return got.length === wanted.length ? worst / largest : NaN;
}

/** What is wrong with results, in words; null if nothing is. */
export function mistakeOf(got: Results, wanted: Results, tolerance: number): string | null {
  const parts = [
    ['the output', got.output, wanted.output] as const,
    ...wanted.gradients.map(
      (gradient, i) => [`gradient ${i + 1}`, got.gradients[i]!, gradient] as const,
    ),
  ];
  for (const [what, values, expected] of parts) {
    const apart = difference(values, expected);
    if (!(apart <= tolerance)) {
      return `wrong: ${what} differs from plain tfjs by ${apart.toExponential(1)} of its largest value`;
    }
  }
  return null;
}
