// SPDX-License-Identifier: Apache-2.0
/** The native library in the report of `tfjs-xformers info`. */
import type { Info } from '../info.js';
import { createNativeLibrary } from '../tensorflow/load_library.js';
import type { Trial } from './candidates.js';

const NO_TENSORFLOW =
  'not loaded, because no TensorFlow works in this Node: npm install @tensorflow/tfjs-node ' +
  '(or tfjs-node-gpu); above is what keeps an installed one from working';

/**
 * What became of the native library: with the TensorFlow that works here, and where there is none,
 * what was found for it. This process has no TensorFlow, so the library that is asked only looks.
 */
export function nativeOf(trials: readonly Trial[]): Info['native'] {
  const found = trials.map(({ native }) => native).filter((native) => native !== undefined);
  const told = found.find(({ loaded }) => loaded) ?? found[0];
  if (told) return told;
  const looked = createNativeLibrary().info();
  // Switched off it did not even look.
  return looked.tried.length === 0 ? looked : { ...looked, reason: NO_TENSORFLOW };
}

/** Lines for people; the first says it all. */
export function nativeLines(native: Info['native']): string[] {
  const { loaded, reason, tried, expected, isa, instructionSets } = native;
  const others = instructionSets.filter((name) => name !== isa);
  const rows: [string, string][] = loaded
    ? [
        ['kernels', others.length === 0 ? `${isa}` : `${isa} (${others.join(', ')} run here too)`],
        ['threads', `${native.threads}`],
        ['tensorflow', `${native.tensorflow} (${native.libtensorflow})`],
      ]
    : [['expected', `${expected.package}, interface ${expected.abi}`]];
  for (const { from, path, outcome } of tried) {
    if (reason.includes(path)) continue;
    rows.push(['tried', `${from}, ${path}: ${outcome}`]);
  }
  return [
    `Native library: ${reason}.`,
    ...rows.map(([name, words]) => `  ${name.padEnd(11)}${words}`),
  ];
}
