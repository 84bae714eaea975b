// SPDX-License-Identifier: Apache-2.0
/** Random inputs of a case, the same in every run, as files that all workers read. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { drawTensor } from '../../test/support/draw.js';
import { isAttention } from './cases.js';
import type { Case } from './cases.js';
import type { Files } from './protocol.js';

export type Arrays = Record<string, Float32Array>;

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

/** Tensors are rounded to the case's dtype; the norms' weights stay float32. */
export function drawInputs(c: Case): Arrays {
  const arrays: Arrays = {};
  for (const [index, [name, size]] of Object.entries(sizesOf(c)).entries()) {
    const isWeight = name === 'gamma' || name === 'beta';
    arrays[name] = drawTensor(index + 1, [size], isWeight ? 'float32' : c.dtype);
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
