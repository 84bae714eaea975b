// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a provider's outputs are right, before it is timed. tfjs-xformers has to keep the package's
 * own rule (DESIGN: 3e-5 absolute and relative in float32, one bfloat16 ulp, gradients 1e-4 or 4e-3 + 1%).
 * Its peers round where they like: they only have to compute the same thing.
 */
import { readFile } from 'node:fs/promises';
import type { Case, ProviderName } from './cases.js';
import type { Files } from './protocol.js';
import type { Expected, Sample } from './reference.js';

interface Tolerance {
  absolute: number;
  relative: number;
}

const BFLOAT16_ULP = 2 ** -7;

function toleranceOf(c: Case, provider: ProviderName): Tolerance {
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

export interface Verdict {
  maxError: number;
  passes: boolean;
}

function compare(got: Float32Array, samples: Sample[], { absolute, relative }: Tolerance): Verdict {
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

/** Reads the outputs that a provider has written and compares all that are expected. */
export async function checkOutputs(
  c: Case,
  provider: ProviderName,
  files: Files,
  expected: Expected,
): Promise<Verdict> {
  const tolerance = toleranceOf(c, provider);
  const verdicts: Verdict[] = [];
  for (const [name, samples] of Object.entries(expected)) {
    const bytes = await readFile(files[name]!).catch(() => Buffer.alloc(0));
    const got = new Float32Array(new Uint8Array(bytes).buffer);
    verdicts.push(compare(got, samples, tolerance));
  }
  return {
    maxError: Math.max(...verdicts.map(({ maxError }) => maxError)),
    passes: verdicts.every(({ passes }) => passes),
  };
}
