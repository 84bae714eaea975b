// SPDX-License-Identifier: Apache-2.0
/**
 * Sum over the `lanes` threads of a workgroup that share a row (or a column): neighbours, or `stride`
 * apart. The order is fixed, so that reruns agree bit for bit: each thread adds up 16 values, then the 16
 * sums, which takes two barriers, not one for each halving. One lane needs none at all, which is what software
 * adapters want. Every thread of the workgroup must call it.
 */
const FAN = 16;

export function rowSum(lanes: number, type: 'f32' | 'vec4f', stride = 1): string {
  if (lanes === 1) {
    return /* wgsl */ `fn row_sum(value: ${type}, lane: u32) -> ${type} { return value; }`;
  }
  const fan = Math.min(FAN, lanes);
  const fans = lanes / fan;
  const span = lanes * stride;
  return /* wgsl */ `
var<workgroup> lane_values: array<${type}, WORKGROUP_SIZE>;
${fans > 1 ? `var<workgroup> fan_sums: array<${type}, WORKGROUP_SIZE / ${fan}u>;` : ''}
fn row_sum(value: ${type}, lane: u32) -> ${type} {
  lane_values[lane] = value;
  workgroupBarrier();
  // Its place among those that share, and that of the first of them.
  let place = (lane % ${span}u) / ${stride}u;
  let first = lane - place * ${stride}u;
  let own = first + (place - place % ${fan}u) * ${stride}u;
  var sum = lane_values[own];
  for (var n = 1u; n < ${fan}u; n++) { sum += lane_values[own + n * ${stride}u]; }
${
  fans > 1
    ? /* wgsl */ `
  let at = ((lane / ${span}u) * ${stride}u + lane % ${stride}u) * ${fans}u;
  if (place % ${fan}u == 0u) { fan_sums[at + place / ${fan}u] = sum; }
  workgroupBarrier();
  sum = fan_sums[at];
  for (var n = 1u; n < ${fans}u; n++) { sum += fan_sums[at + n]; }
  return sum;`
    : /* wgsl */ `
  workgroupBarrier(); // the next call writes where this one reads
  return sum;`
}
}`;
}
