// SPDX-License-Identifier: Apache-2.0
/** Inputs of a case as files that all workers read. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Arrays } from '../shared/inputs.js';
import type { Files } from './protocol.js';

export async function writeInputs(folder: string, arrays: Arrays): Promise<Files> {
  const files: Files = {};
  for (const [name, values] of Object.entries(arrays)) {
    files[name] = path.join(folder, `${name}.f32`);
    await writeFile(files[name], new Uint8Array(values.buffer));
  }
  return files;
}
