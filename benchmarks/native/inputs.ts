// SPDX-License-Identifier: Apache-2.0
/** Random inputs of a case, the same in every run, as files that all workers read. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { roundBits } from '../../src/bf16/rounding.js';
import { isAttention } from './cases.js';
import type { Case } from './cases.js';
import type { Files } from './protocol.js';

export type Arrays = Record<string, Float32Array>;

/** Standard normal values by Marsaglia's polar method, over a linear congruential generator. */
function normal(seed: number, size: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  };
  const values = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    let [a, b, square] = [0, 0, 0];
    while (square >= 1 || square === 0) {
      [a, b] = [uniform(), uniform()];
      square = a * a + b * b;
    }
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    values[i] = a * factor;
    if (i + 1 < size) values[i + 1] = b * factor;
  }
  return values;
}

function sizesOf(c: Case): Record<string, number> {
  if (isAttention(c)) {
    const query = c.batch * c.queries * c.heads * c.dim;
    const key = c.batch * c.keys * c.kvHeads * c.dim;
    return { query, key, value: key, ...(c.mode !== 'forward' && { doutput: query }) };
  }
  const size = c.rows * c.columns;
  if (c.op === 'matmul') return { a: size, b: size };
  if (c.op === 'bf16 pack') return { x: size };
  const weights = { gamma: c.columns, beta: c.columns };
  return { x: size, ...weights, ...(c.mode !== 'forward' && { dy: size }) };
}

function roundInPlace(values: Float32Array): void {
  const words = new Int32Array(values.buffer);
  for (let i = 0; i < words.length; i++) words[i] = roundBits(words[i]!) << 16;
}

/** Tensors are rounded to the case's dtype; the norms' weights stay float32. */
export function drawInputs(c: Case): Arrays {
  const arrays: Arrays = {};
  for (const [index, [name, size]] of Object.entries(sizesOf(c)).entries()) {
    const values = normal(7919 * (index + 1), size);
    const isWeight = name === 'gamma' || name === 'beta';
    if (c.dtype === 'bfloat16' && !isWeight) roundInPlace(values);
    arrays[name] = values;
  }
  return arrays;
}

export async function writeInputs(folder: string, arrays: Arrays): Promise<Files> {
  const files: Files = {};
  for (const [name, values] of Object.entries(arrays)) {
    files[name] = path.join(folder, `${name}.f32`);
    await writeFile(files[name], new Uint8Array(values.buffer));
  }
  return files;
}
