// SPDX-License-Identifier: Apache-2.0
/** Builds the native library, so that the tests of the `tensorflow` backend run its kernels. */
import { existsSync } from 'node:fs';

import { buildNative } from '../native/build.mjs';
import { builtAddon } from '../native/toolchain.mjs';

/**
 * Builds what has changed since the last time.
 *
 * @returns {Promise<string | undefined>} undefined, or why there is no library and what to do
 */
export async function setupNative() {
  const problem = await buildNative({ quiet: true });
  if (problem === undefined) return undefined;
  const served = existsSync(builtAddon)
    ? 'The library of an earlier build serves.'
    : 'Without it the tests of the `tensorflow` backend run the portable kernels.';
  return `${problem}\n${served}`;
}
