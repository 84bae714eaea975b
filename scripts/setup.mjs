// SPDX-License-Identifier: Apache-2.0
/**
 * Brings what npm does not: libtensorflow for the `tensorflow` backend, the native library, and Chromium for the
 * browser tests.
 * Safe to run again; what is there already is left alone.
 *
 *     node scripts/setup.mjs [--tensorflow] [--native] [--chromium]      (all when none is named)
 *
 * Exit code 1 if something is missing and CI is set: on a developer's machine the tests run without it, and say so.
 */
import { setupChromium } from './setup/chromium.mjs';
import { setupLibTensorFlow } from './setup/libtensorflow.mjs';
import { setupNative } from './setup/native.mjs';
import { step } from './console.mjs';

const parts = /** @type {const} */ ([
  ['--tensorflow', 'libtensorflow', setupLibTensorFlow],
  ['--native', 'native library', setupNative],
  ['--chromium', 'Chromium', setupChromium],
]);
const wanted = process.argv.slice(2);
const known = parts.map(([flag]) => flag);
for (const flag of wanted) {
  if (!known.some((name) => name === flag)) {
    console.error(`setup: unknown option ${flag}; known are ${known.join(', ')}`);
    process.exit(2);
  }
}

let missing = 0;
for (const [flag, title, setup] of parts) {
  if (wanted.length > 0 && !wanted.includes(flag)) continue;
  step(`Set-up: ${title}`);
  const problem = await setup();
  if (problem !== undefined) {
    missing++;
    console.error(`\n${problem}\n`);
  }
}
process.exit(missing > 0 && process.env['CI'] ? 1 : 0);
