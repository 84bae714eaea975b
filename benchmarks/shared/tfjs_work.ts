// SPDX-License-Identifier: Apache-2.0
/**
 * The work of a provider that is based on tfjs. Calls go through the public ops, and so the time that
 * tfjs needs for each op is in the figures.
 */
import * as tf from '@tensorflow/tfjs-core';
import { isAttention } from './case.js';
import type { Case } from './case.js';
import type { Formula, Operands } from './tfjs_formulas.js';
import type { Work } from './work.js';

type Read = (name: string) => Promise<Float32Array>;

function shapeOf(c: Case, name: string): number[] {
  if (isAttention(c)) {
    const isKey = name === 'key' || name === 'value';
    return [c.batch, isKey ? c.keys : c.queries, isKey ? c.kvHeads : c.heads, c.dim];
  }
  return name === 'gamma' || name === 'beta' ? [c.columns] : [c.rows, c.columns];
}

/** Hands the values to the backend now, and not in the first call that is timed. */
function upload(x: tf.Tensor): tf.Tensor {
  const { rank } = x;
  tf.slice(x, new Array<number>(rank).fill(0), new Array<number>(rank).fill(1)).dispose();
  globalThis.gc?.();
  return x;
}

/** Inputs in the formula's layout. */
async function readOperands(
  c: Case,
  formula: Formula,
  names: readonly string[],
  read: Read,
): Promise<Operands> {
  const operands: Operands = {};
  for (const name of names) {
    const raw = upload(tf.tensor(await read(name), shapeOf(c, name)));
    operands[name] = formula.convert?.(raw, name) ?? raw;
    if (operands[name] !== raw) raw.dispose();
  }
  return operands;
}

/** Output, and then the gradients of the leaves where the case wants them. */
function compute(c: Case, formula: Formula, operands: Operands): tf.Tensor[] {
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

/**
 * @param names the case's inputs
 * @param read the values of an input
 */
export async function tfjsWork(
  c: Case,
  formula: Formula,
  names: readonly string[],
  read: Read,
): Promise<Work> {
  const operands = await readOperands(c, formula, names, read);
  const outputNames = c.mode === 'forward' ? ['output'] : formula.leaves!.map((name) => `d${name}`);
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
        arrays[outputNames[index]!] = (await x.data()) as Float32Array;
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
