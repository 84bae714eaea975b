// SPDX-License-Identifier: Apache-2.0
/** spec/dropout.ts in WGSL: the same bits for the same (seed, b, h, i, j). */
export const DROPOUT = /* wgsl */ `
fn mix(key: u32) -> u32 {
  var x = key;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  x ^= x >> 16u;
  return x;
}
fn row_key(b: u32, h: u32, i: u32) -> u32 {
  let batch = mix(mix(uniforms.seed) ^ (b * 0x85ebca6bu + 1u));
  let head = mix(batch ^ (h * 0xc2b2ae35u + 1u));
  return mix(head ^ (i * 0x27d4eb2fu + 1u));
}
fn keep_scale(row: u32, j: u32) -> f32 {
  let kept = mix(row ^ (j * 0x165667b1u + 1u)) >= uniforms.drop_threshold;
  return select(0.0, uniforms.keep_scale, kept);
}
`;
