// SPDX-License-Identifier: Apache-2.0
/** Sums over the quads first, first + LANES, … below `end` of a row: one thread's, in loops of any length. */

/**
 * `lane_sum(row, first, end, shift, mean, squared)`: of h - shift, or of (h - shift - mean)^2, in two levels
 * of 16. Needs h_at, in_row and LANES.
 */
export const NORM_LANE_SUM = /* wgsl */ `
fn lane_sum(row: u32, first: u32, end: u32, shift: f32, mean: f32, squared: bool) -> f32 {
  var outer = vec4f(0.0);
  var i = first;
  while (i < end) {
    var inner = vec4f(0.0);
    for (var n = 0u; n < 16u && i < end; n++) {
      let v = in_row((h_at(row, i) - shift) - mean, i);
      inner += select(v, v * v, squared);
      i += LANES;
    }
    outer += inner;
  }
  return dot(outer, vec4f(1.0));
}`;

/**
 * `lane_sums(row, first, end, mean)`: (sum c, sum g, sum g*c) with c = x - mean, in two levels of 16.
 * Needs x_at, g_at, in_row and LANES.
 */
export const NORM_GRAD_LANE_SUMS = /* wgsl */ `
fn lane_sums(row: u32, first: u32, end: u32, mean: f32) -> vec4f {
  const ONES = vec4f(1.0);
  var outer = vec4f(0.0);
  var i = first;
  while (i < end) {
    var inner = vec4f(0.0);
    for (var n = 0u; n < 16u && i < end; n++) {
      let c = in_row(x_at(row, i) - mean, i);
      let g = in_row(g_at(row, i), i);
      inner += vec4f(dot(c, ONES), dot(g, ONES), dot(g, c), 0.0);
      i += LANES;
    }
    outer += inner;
  }
  return outer;
}`;
