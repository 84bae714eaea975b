// SPDX-License-Identifier: Apache-2.0
/**
 * Sum over the `lanes` neighbouring lanes that share a row, in a fixed order, so that reruns agree
 * bit for bit. One lane a row needs no barrier at all, which is what software adapters want.
 * Every lane of the workgroup must call it.
 */
export function rowSum(lanes: number, type: 'f32' | 'vec4f'): string {
  if (lanes === 1) {
    return /* wgsl */ `fn row_sum(value: ${type}, lane: u32) -> ${type} { return value; }`;
  }
  return /* wgsl */ `
var<workgroup> partial_sums: array<${type}, WORKGROUP_SIZE>;
fn row_sum(value: ${type}, lane: u32) -> ${type} {
  partial_sums[lane] = value;
  workgroupBarrier();
  for (var step = ${lanes / 2}u; step > 0u; step >>= 1u) {
    if (lane % ${lanes}u < step) { partial_sums[lane] += partial_sums[lane + step]; }
    workgroupBarrier();
  }
  let total = partial_sums[lane - lane % ${lanes}u];
  workgroupBarrier();
  return total;
}`;
}
