// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs-xformers, or plain tfjs, on TensorFlow in Node, as providers of benchmarks/native.ts. Calls go
 * through the public ops, and so the time that tfjs needs for each op is in the figures.
 *
 *     node --expose-gc --import tsx benchmarks/native/tfjs_worker.ts tfjs-xformers|tfjs <package>
 *
 * The package is @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu.
 */
import * as tf from '@tensorflow/tfjs-core';
import { isAttention } from './cases.js';
import type { CaseWithFiles, Provider, Work } from './protocol.js';
import { readInput, serve } from './serve.js';
import type { Formula, Formulas, Operands } from './tfjs_formulas.js';

const OUTPUT_NAMES = ['output', 'dquery', 'dkey', 'dvalue'];
const NORM_OUTPUT_NAMES = ['output', 'dx', 'dgamma', 'dbeta'];

function shapeOf(c: CaseWithFiles, name: string): number[] {
  if (isAttention(c)) {
    const isKey = name === 'key' || name === 'value';
    return [c.batch, isKey ? c.keys : c.queries, isKey ? c.kvHeads : c.heads, c.dim];
  }
  return name === 'gamma' || name === 'beta' ? [c.columns] : [c.rows, c.columns];
}

/** Hands the values to TensorFlow now, and not in the first call that is timed. */
function upload(x: tf.Tensor): tf.Tensor {
  const { rank } = x;
  tf.slice(x, new Array<number>(rank).fill(0), new Array<number>(rank).fill(1)).dispose();
  globalThis.gc?.();
  return x;
}

async function readOperands(c: CaseWithFiles, formula: Formula): Promise<Operands> {
  const operands: Operands = {};
  for (const name of Object.keys(c.inputs)) {
    const raw = upload(tf.tensor(await readInput(c, name), shapeOf(c, name)));
    operands[name] = formula.convert?.(raw, name) ?? raw;
    if (operands[name] !== raw) raw.dispose();
  }
  return operands;
}

/** Output, and then the gradients of the leaves where the case wants them. */
function compute(c: CaseWithFiles, formula: Formula, operands: Operands): tf.Tensor[] {
  if (c.mode === 'forward') return [formula.forward(operands) as tf.Tensor];
  const leaves = formula.leaves!;
  const f = (...xs: tf.Tensor[]) =>
    formula.forward({
      ...operands,
      ...Object.fromEntries(leaves.map((name, i) => [name, xs[i]!])),
    });
  const dy = operands['doutput'] ?? operands['dy'];
  return tf.grads(f as (...xs: tf.Tensor[]) => tf.Tensor)(
    leaves.map((name) => operands[name] as tf.Tensor),
    dy as tf.Tensor,
  );
}

async function prepare(c: CaseWithFiles, formulas: Formulas): Promise<Work | string> {
  const formula = formulas(c);
  if (typeof formula === 'string') return formula;
  const operands = await readOperands(c, formula);
  const names = isAttention(c) ? OUTPUT_NAMES : NORM_OUTPUT_NAMES;
  const toLayout = (x: tf.Tensor) => tf.tidy(() => formula.toLayout?.(x) ?? x);
  return {
    run: () => {
      tf.dispose(tf.tidy(() => compute(c, formula, operands)));
    },
    outputs: async () => {
      const results = tf.tidy(() => compute(c, formula, operands));
      const arrays: Record<string, Float32Array> = {};
      for (const [index, result] of results.entries()) {
        const x = toLayout(result);
        arrays[names[index + (c.mode === 'forward' ? 0 : 1)]!] = (await x.data()) as Float32Array;
        tf.dispose([x, result]);
      }
      return arrays;
    },
    release: () => {
      tf.dispose(operands);
      formula.dispose?.();
    },
  };
}

async function load(name: string): Promise<{ formulas: Formulas; versions: object }> {
  if (name === 'tfjs') return import('./tfjs_composition.js');
  return import('./tfjs_xformers.js');
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
