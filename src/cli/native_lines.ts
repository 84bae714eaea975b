// SPDX-License-Identifier: Apache-2.0
/** The native library in the report of `tfjs-xformers info`. */
import type { Info } from '../info.js';
import { createNativeLibrary } from '../tensorflow/load_library.js';
import type { Trial } from './candidates.js';

/**
 * What became of the native library: with the TensorFlow that works here, and where there is none,
 * what was found for it. This process has no TensorFlow, so the library that is asked only looks.
 */
export function nativeOf(trials: readonly Trial[]): Info['native'] {
  const found = trials.map(({ native }) => native).filter((native) => native !== undefined);
  return found.find(({ loaded }) => loaded) ?? found[0] ?? createNativeLibrary().info();
}

/** Lines for people; the first says it all. */
export function nativeLines(native: Info['native']): string[] {
  const rows: [string, string][] = native.loaded
    ? [
        ['kernels', `${native.isa}, of ${native.instructionSets.join(', ')}`],
        ['threads', `${native.threads}`],
        ['tensorflow', `${native.tensorflow} (${native.libtensorflow})`],
      ]
    : [['expected', `${native.expected.package}, interface ${native.expected.abi}`]];
  for (const { from, path, outcome } of native.tried) {
    if (native.reason.includes(path)) continue;
    rows.push(['tried', `${from}, ${path}: ${outcome}`]);
  }
  return [
    `Native library: ${native.reason}.`,
    ...rows.map(([name, words]) => `  ${name.padEnd(11)}${words}`),
  ];
}
