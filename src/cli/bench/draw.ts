// SPDX-License-Identifier: Apache-2.0
/** Inputs: the same numbers in every run, and fast to make. */

/** About standard normal: the sum of four uniform numbers (a linear congruential generator's). */
export function draw(seed: number, count: number, scale = 1, offset = 0): Float32Array {
  const values = new Float32Array(count);
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < count; i++) {
    let sum = -2;
    for (let term = 0; term < 4; term++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      sum += state / 4294967296;
    }
    values[i] = sum * Math.sqrt(3) * scale + offset;
  }
  return values;
}
