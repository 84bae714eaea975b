// SPDX-License-Identifier: Apache-2.0
/** Checks the outputs that a provider's process has written. */
import { readFile } from 'node:fs/promises';
import { checkOutputs } from '../shared/check.js';
import type { Check } from '../shared/check.js';
import type { Arrays } from '../shared/inputs.js';
import type { Expected } from '../shared/reference.js';
import type { Case, ProviderName } from './cases.js';
import type { Files } from './protocol.js';

export async function checkFiles(
  c: Case,
  provider: ProviderName,
  files: Files,
  expected: Expected,
): Promise<Check> {
  const got: Arrays = {};
  for (const name of Object.keys(expected)) {
    const bytes = await readFile(files[name]!).catch(() => Buffer.alloc(0));
    got[name] = new Float32Array(new Uint8Array(bytes).buffer);
  }
  return checkOutputs(c, provider, got, expected);
}
