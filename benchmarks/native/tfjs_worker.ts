// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs-xformers, or plain tfjs, on TensorFlow in Node, as providers of benchmarks/native.ts.
 *
 *     node --expose-gc --import tsx benchmarks/native/tfjs_worker.ts tfjs-xformers|tfjs <package>
 *
 * The package is @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Formulas } from '../shared/tfjs_formulas.js';
import { tfjsWork } from '../shared/tfjs_work.js';
import type { Work } from '../shared/work.js';
import type { CaseWithFiles, Provider } from './protocol.js';
import { readInput, serve } from './serve.js';

function prepare(c: CaseWithFiles, formulas: Formulas): Promise<Work | string> {
  const formula = formulas(c);
  if (typeof formula === 'string') return Promise.resolve(formula);
  return tfjsWork(c, formula, Object.keys(c.inputs), (name) => readInput(c, name));
}

async function load(name: string): Promise<{ formulas: Formulas; versions?: object }> {
  if (name === 'tfjs') return import('../shared/tfjs_composition.js');
  const [{ formulas }, { info }] = await Promise.all([
    import('../shared/tfjs_xformers.js'),
    // Brings the native library.
    import('../../src/node.js'),
  ]);
  const { version, native } = info();
  const library = native.loaded
    ? `${native.isa} kernels, ${native.threads} threads`
    : `not loaded: ${native.reason}`;
  return { formulas, versions: { 'tfjs-xformers': version, 'native library': library } };
}

const [, , name, tensorflow] = process.argv;
// Importing it registers its backend, and makes that the one in use.
await import(tensorflow!);
await tf.ready();
const { formulas, versions } = await load(name!);
const { TF_Version } = (tf.backend() as unknown as { binding: { TF_Version?: string } }).binding;

await serve({
  hello: () =>
    Promise.resolve({
      [tensorflow!]: tf.version_core,
      libtensorflow: TF_Version ?? 'unknown',
      ...versions,
    }),
  prepare: (c) => prepare(c, formulas),
} satisfies Provider);
