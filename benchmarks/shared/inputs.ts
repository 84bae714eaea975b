// SPDX-License-Identifier: Apache-2.0
/** Random inputs of a case, the same in every run. */
import { drawTensor } from '../../test/support/draw.js';
import { isAttention } from './case.js';
import type { AttentionCase, Case, DType } from './case.js';

export type Arrays = Record<string, Float32Array>;

/** Above this many queries the upstream gradient is sparse (see sparsify). */
const DENSE_QUERIES = 1024;
const GRADIENT_ROWS = 128;

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
  const residual = c.op === 'add layer norm' && { residual: size };
  return { x: size, ...residual, ...weights, ...(c.mode !== 'forward' && { dy: size }) };
}

/**
 * Sets the upstream gradient of most queries to zero. The gradients of all keys are then sums over a
 * few queries only, which the float64 reference can afford; no kernel's time depends on values.
 */
function sparsify(c: AttentionCase, doutput: Float32Array): void {
  const step = Math.floor(c.queries / GRADIENT_ROWS);
  const row = c.heads * c.dim;
  for (let i = 0; i < c.batch * c.queries; i++) {
    if (i % step !== step - 1) doutput.fill(0, i * row, (i + 1) * row);
  }
}

/** A value depends on its index and the seed alone, so that a longer array serves for all shorter ones. */
const drawn = new Map<string, Float32Array>();

function cachedDraw(seed: number, size: number, dtype: DType): Float32Array {
  const name = `${seed} ${dtype}`;
  let values = drawn.get(name);
  if (!values || values.length < size) {
    values = drawTensor(seed, [size], dtype);
    drawn.set(name, values);
  }
  return values.slice(0, size);
}

/** Tensors are rounded to the case's dtype; the norms' weights stay float32. */
export function drawInputs(c: Case): Arrays {
  const arrays: Arrays = {};
  for (const [index, [name, size]] of Object.entries(sizesOf(c)).entries()) {
    const isWeight = name === 'gamma' || name === 'beta';
    arrays[name] = cachedDraw(index + 1, size, isWeight ? 'float32' : c.dtype);
  }
  if (isAttention(c) && arrays['doutput'] && c.queries > DENSE_QUERIES) {
    sparsify(c, arrays['doutput']);
  }
  return arrays;
}

/** [M, G, D] as [G, M, D]: the layout of onnxruntime's caches. */
export function headsFirst(c: AttentionCase, x: Float32Array): Float32Array {
  const result = new Float32Array(x.length);
  for (let j = 0; j < c.keys; j++) {
    for (let head = 0; head < c.kvHeads; head++) {
      const start = (j * c.kvHeads + head) * c.dim;
      result.set(x.subarray(start, start + c.dim), (head * c.keys + j) * c.dim);
    }
  }
  return result;
}
