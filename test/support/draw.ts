// SPDX-License-Identifier: Apache-2.0
/** The inputs of the golden cases: drawn from a seed, as test/golden/README.md defines it. */
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import type { FloatDType } from '../../src/spec/dtype.js';
import { sizeOf } from '../../src/spec/shape.js';

function hash(x: number): number {
  x = (x ^ (x >>> 16)) >>> 0;
  x = Math.imul(x, 0x7feb352d) >>> 0;
  x = (x ^ (x >>> 15)) >>> 0;
  x = Math.imul(x, 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** n float32 values, approximately standard normal, a pure function of the seed. */
export function draw(seed: number, n: number): Float32Array {
  const values = new Float32Array(n);
  const base = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < n; i++) {
    let total = 0;
    for (let t = 0; t < 4; t++) total += hash((base + 4 * i + t) >>> 0) / 4294967296;
    values[i] = (total - 2) * Math.sqrt(3);
  }
  return values;
}

/** The values of a tensor: draw * scale + offset, rounded to float32 and then to `dtype`. */
export function drawTensor(
  seed: number,
  shape: readonly number[],
  dtype: FloatDType = 'float32',
  scale = 1,
  offset = 0,
): Float32Array {
  const values = draw(seed, sizeOf(shape)).map((x) => x * scale + offset);
  return dtype === 'bfloat16' ? roundToBFloat16Values(values) : values;
}
