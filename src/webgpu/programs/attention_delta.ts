// SPDX-License-Identifier: Apache-2.0
/**
 * What the backward passes need of each query row, in one buffer (dK and dV would otherwise need
 * more than the eight storage buffers that every device has):
 *
 *   row_stats = (logSumExp in base 2, delta),   delta = rowsum(dO ∘ O) - dLSE
 *
 * delta is the softmax's own term in dS = P ∘ (dP - delta). A row with no visible key gets so large
 * a logSumExp that each of its weights comes out as zero. One thread owns a row; one pass; float32.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { elementOf, fixedRows, quadsOf, readerOf } from '../wgsl/tensor.js';

export const DELTA_WORKGROUP = 64;

export interface AttentionDeltaVariant {
  v: number;
  output: FloatDType;
  /** Whether logSumExp has a gradient. */
  dlse: boolean;
}

export function attentionDeltaProgram({ v, output, dlse }: AttentionDeltaVariant): Program {
  const gradient = fixedRows('d_o', 'float32', v);
  const saved = fixedRows('o', output, v);
  return {
    name: 'MemoryEfficientAttentionGradDelta',
    key: JSON.stringify({ v, output, dlse }),
    bindings: [
      reads('d_o', elementOf(gradient)),
      reads('o', elementOf(saved)),
      reads('lse', 'u32'),
      ...(dlse ? [reads('dlse', 'f32')] : []),
      writes('row_stats', 'vec2<f32>'),
    ],
    uniforms: {
      ...{ rows: 'u32', queries: 'u32', heads: 'u32' },
      ...{ o_batch: 'u32', o_row: 'u32', o_head: 'u32' },
    },
    workgroupSize: DELTA_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${readerOf(gradient)}
${readerOf(saved)}
const LOG2E = 1.4426950408889634;
fn run(group: u32, lane: u32) {
  let item = group * WORKGROUP_SIZE + lane; // of [B, Mq, H]
  if (item >= uniforms.rows) { return; }
  let head = item % uniforms.heads;
  let query = (item / uniforms.heads) % uniforms.queries;
  let batch = item / (uniforms.heads * uniforms.queries);
  let row = batch * uniforms.o_batch + query * uniforms.o_row + head * uniforms.o_head;
  let at = (batch * uniforms.heads + head) * uniforms.queries + query; // of [B, H, Mq]
  var sums = vec4f(0.0);
  for (var i = 0u; i < ${quadsOf(v)}u; i++) { sums += d_o_at(row, i) * o_at(row, i); }
  var delta = dot(sums, vec4f(1.0));
  ${dlse ? 'delta -= dlse[at];' : ''}
  let bits = lse[at];
  let dead = bits == 0xff800000u;
  row_stats[at] = vec2f(select(bitcast<f32>(bits) * LOG2E, 1.0e30, dead), select(delta, 0.0, dead));
}`,
  };
}
