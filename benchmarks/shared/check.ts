// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a provider's outputs are right, before it is timed. tfjs-xformers has to keep the package's
 * own rule (DESIGN: 3e-5 absolute and relative in float32, one bfloat16 ulp, gradients 1e-4 or 4e-3 + 1%).
 * Its peers round where they like: they only have to compute the same thing.
 */
import type { Case } from './case.js';
import type { Arrays } from './inputs.js';
import type { Expected, Sample } from './reference.js';

export interface Tolerance {
  absolute: number;
  relative: number;
}

const BFLOAT16_ULP = 2 ** -7;

function toleranceOf(c: Case, provider: string): Tolerance {
  const trains = c.mode !== 'forward';
  const same = (value: number) => ({ absolute: value, relative: value });
  if (provider !== 'tfjs-xformers') {
    if (c.op === 'matmul') return same(c.dtype === 'float32' ? 1e-3 : 3e-1);
    return same(c.dtype === 'float32' ? 5e-4 : 4e-2);
  }
  if (c.op === 'bf16 pack') return same(0);
  if (c.dtype === 'float32') return same(trains ? 1e-4 : 3e-5);
  return trains ? { absolute: 4e-3, relative: 1e-2 } : { absolute: 3e-5, relative: BFLOAT16_ULP };
}

export interface Check {
  maxError: number;
  passes: boolean;
}

function compare(got: Float32Array, samples: Sample[], { absolute, relative }: Tolerance): Check {
  let [maxError, passes] = [0, true];
  for (const { start, values } of samples) {
    for (let n = 0; n < values.length; n++) {
      const error = Math.abs(got[start + n]! - values[n]!);
      maxError = Math.max(maxError, error);
      // Written so that NaN, and a missing element, fail.
      if (!(error <= absolute + relative * Math.abs(values[n]!))) passes = false;
    }
  }
  return { maxError, passes };
}

/** Sums over rows round in proportion to the square root of their number. */
const ROWS_WITHIN_TOLERANCE = 16_384;

function scaled(c: Case, name: string, { absolute, relative }: Tolerance): Tolerance {
  const rows = 'rows' in c && (name === 'dgamma' || name === 'dbeta') ? c.rows : 0;
  return { absolute: absolute * Math.max(1, Math.sqrt(rows / ROWS_WITHIN_TOLERANCE)), relative };
}

/** Compares all that is expected with what was got. */
export function compareAll(
  got: Arrays,
  expected: Expected,
  toleranceFor: (name: string) => Tolerance,
): Check {
  const checks = Object.entries(expected).map(([name, samples]) =>
    compare(got[name] ?? new Float32Array(0), samples, toleranceFor(name)),
  );
  return {
    maxError: Math.max(...checks.map(({ maxError }) => maxError)),
    passes: checks.every(({ passes }) => passes),
  };
}

/** Compares what a provider gave with what the case has to give. */
export function checkOutputs(c: Case, provider: string, got: Arrays, expected: Expected): Check {
  const tolerance = toleranceOf(c, provider);
  return compareAll(got, expected, (name) => scaled(c, name, tolerance));
}
