// SPDX-License-Identifier: Apache-2.0
/**
 * dsink[h] = -sum over b, i of exp(sink[h] - logSumExp) * delta.
 *
 * The sink is a key whose value is zero, so its dP is zero. One workgroup owns a head; each thread
 * takes every 64th row, then a tree in workgroup memory: a fixed order, float32.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { rowSum } from '../wgsl/row_sum.js';

const WORKGROUP = 64;

export const attentionDsinkProgram: Program = {
  name: 'MemoryEfficientAttentionSinkGrad',
  key: '',
  bindings: [reads('sink', 'f32'), reads('row_stats', 'vec2<f32>'), writes('dsink', 'f32')],
  uniforms: { batch: 'u32', heads: 'u32', queries: 'u32' },
  workgroupSize: WORKGROUP,
  code: () => /* wgsl */ `
${rowSum(WORKGROUP, 'f32')}
fn run(head: u32, lane: u32) {
  let base2 = sink[head] * 1.4426950408889634;
  var sum = 0.0;
  for (var b = 0u; b < uniforms.batch; b++) {
    for (var i = lane; i < uniforms.queries; i += WORKGROUP_SIZE) {
      let stats = row_stats[(b * uniforms.heads + head) * uniforms.queries + i];
      sum -= exp2(base2 - stats.x) * stats.y;
    }
  }
  let total = row_sum(sum, lane);
  if (lane == 0u) { dsink[head] = total; }
}`,
};
