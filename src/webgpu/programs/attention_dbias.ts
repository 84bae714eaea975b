// SPDX-License-Identifier: Apache-2.0
/**
 * dbias = P ∘ (dO Vᵀ ∘ keep - delta), summed over the axes along which the bias was broadcast.
 *
 * One thread owns one element of the bias and recomputes the weights that it took part in, so that
 * nothing larger than the bias is ever made and the sum has a fixed order. No workgroup memory.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { ATTENTION_UNIFORMS, attentionInputs, attentionPrelude } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import { elementOf, fixedRows, readerOf } from '../wgsl/tensor.js';

export const DBIAS_WORKGROUP = 64;

export function attentionDbiasProgram(variant: AttentionVariant): Program {
  const gradient = fixedRows('d_o', 'float32', variant.v);
  return {
    name: 'MemoryEfficientAttentionBiasGrad',
    key: JSON.stringify(variant),
    bindings: [
      ...attentionInputs(variant),
      reads('d_o', elementOf(gradient)),
      reads('row_stats', 'vec2<f32>'),
      writes('dbias', 'f32'),
    ],
    uniforms: {
      ...ATTENTION_UNIFORMS,
      shape_b: 'u32',
      shape_h: 'u32',
      shape_i: 'u32',
      shape_j: 'u32',
    },
    workgroupSize: DBIAS_WORKGROUP,
    code: () => /* wgsl */ `
${attentionPrelude(variant, 'heads')}
${readerOf(gradient)}
fn element_gradient(work: Work, i: i32, j: i32) -> f32 {
  if (!visible(work.block, i, j)) { return 0.0; }
  let head = work.head;
  let query = q_row(work, head, i);
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let key = k_row(work, kv_head, j);
  let value = v_row(work, kv_head, j);
  let gradient = o_row(work, head, i);
  var s = vec4f(0.0);
  for (var n = 0u; n < K4; n++) { s += q_at(query, n) * k_at(key, n); }
  let base2 = score(capped(dot(s, vec4f(1.0))), work.batch, head, u32(i), u32(j), true);
  if (is_hidden(base2)) { return 0.0; }
  let stats = row_stats[stats_row(work, head, i)];
  var dp = vec4f(0.0);
  for (var n = 0u; n < V4; n++) { dp += d_o_at(gradient, n) * v_at(value, n); }
  var keep = 1.0;
  ${variant.dropout ? 'keep = keep_scale(row_key(work.batch, head, u32(i)), u32(j));' : ''}
  return exp2(base2 - stats.x) * (dot(dp, vec4f(1.0)) * keep - stats.y);
}
// The coordinates along an axis that share element \`at\` of a bias of this size: all, or one.
fn sharers(at: u32, size: u32, full: u32) -> vec2u {
  return select(vec2u(at, at + 1u), vec2u(0u, full), size == 1u);
}
fn run(group: u32, lane: u32) {
  var at = group * WORKGROUP_SIZE + lane;
  let index = at;
  if (at >= uniforms.shape_b * uniforms.shape_h * uniforms.shape_i * uniforms.shape_j) { return; }
  let js = sharers(at % uniforms.shape_j, uniforms.shape_j, uniforms.keys);
  at /= uniforms.shape_j;
  let is = sharers(at % uniforms.shape_i, uniforms.shape_i, uniforms.queries);
  at /= uniforms.shape_i;
  let hs = sharers(at % uniforms.shape_h, uniforms.shape_h, uniforms.heads);
  let bs = sharers(at / uniforms.shape_h, uniforms.shape_b, uniforms.batch);
  let block = make_block(0, i32(uniforms.queries), 0, i32(uniforms.keys), 0);
  var sum = 0.0;
  for (var b = bs.x; b < bs.y; b++) {
    for (var h = hs.x; h < hs.y; h++) {
      let work = Work(block, b, h, 0);
      for (var i = is.x; i < is.y; i++) {
        var row_sum = 0.0;
        for (var j = js.x; j < js.y; j++) { row_sum += element_gradient(work, i32(i), i32(j)); }
        sum += row_sum;
      }
    }
  }
  dbias[index] = sum;
}`,
  };
}
