// SPDX-License-Identifier: Apache-2.0
/**
 * Runs examples one after the other in one process, each on a fresh choice of backend.
 * Their files are relative to the folder of the first. Arguments: the backend, then modules. Prints a line of JSON at its end: what each one threw, or null.
 */
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';

const [backend, ...files] = process.argv.slice(2);
const load: Record<string, () => Promise<unknown>> = {
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
  tensorflow: () => import('@tensorflow/tfjs-node-gpu'),
};
await load[backend!]!();
if (files[0] !== undefined) process.chdir(path.dirname(files[0]));
const failures: (string | null)[] = [];
for (const file of files) {
  try {
    await tf.setBackend(backend!);
    await import(file);
    failures.push(null);
  } catch (error) {
    failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
// Dawn's threads would keep the process alive.
process.stdout.write(`\n${JSON.stringify(failures)}\n`, () => process.exit(0));
