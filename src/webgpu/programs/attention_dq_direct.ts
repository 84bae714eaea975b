// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dq.ts for software adapters: four threads to a tile of `rows` queries of one head,
 * `threadRows` each, `keys` keys at a time, no barriers (see wgsl/direct.ts). Private arrays: scores,
 * which become dS, dP, and the accumulator. Each dQ has one owner.
 */
import type { Program } from '../program.js';
import { dqPass } from './attention_passes.js';
import { attentionTensors, fullTile } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import {
  accumulate,
  accumulatorVectors,
  DIRECT_LANES,
  directCode,
  dotProducts,
  rowHandles,
  unroll,
  weightVectors,
} from '../wgsl/direct.js';
import { fixedRows, quadsOf } from '../wgsl/tensor.js';

export function attentionDqDirectProgram(variant: AttentionVariant): Program {
  const { dropout, tile } = variant;
  const { prelude, ...shared } = dqPass(variant);
  const { q, k, v } = attentionTensors(variant);
  const gradient = fixedRows('d_o', 'float32', variant.v);
  const kRow = (at: string) => `k_row(work, kv_head, ${at})`;
  const vRow = (at: string) => `v_row(work, kv_head, ${at})`;
  const vectors = weightVectors(tile);
  return {
    ...shared,
    workgroupSize: DIRECT_LANES,
    subgroups: tile.quads === true,
    code: () => /* wgsl */ `
${prelude}
${directCode(tile)}
var<private> scores: array<vec4f, ${vectors}>;
var<private> d_weights: array<vec4f, ${vectors}>;
var<private> acc: array<vec4f, ${accumulatorVectors(tile, quadsOf(variant.k))}>;
var<private> hidden: u32;

// Turns the scores of a row into their gradients.
fn score_gradients(work: Work, head: u32, i: i32, r: u32, range: vec2i, first: i32, groups: u32, lane: u32, full: bool) {
  let block = work.block;
  let stats = row_stats[stats_row(work, head, min(i, block.q_length - 1))];
  ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
  for (var at = 0u; at < groups; at++) {
    var s = scores[at * u32(OWN) + r];
    let dp = d_weights[at * u32(OWN) + r];
${unroll(
  4,
  (c) => `    {
      let j = first + i32(4u * at) + column_of(lane, ${c}u);
      let seen = full | ((j < range.y) & visible(block, i, j));
      let plain = capped(s[${c}]);
      let base2 = score(plain, work.batch, head, u32(block.q_start + i), u32(j), seen);
      var dropped = dp[${c}];
      ${dropout ? 'dropped *= keep_scale(drop_row, key_row(block, min(j, block.k_length - 1)));' : ''}
      let gradient = exp2(base2 - stats.x) * (dropped - stats.y) * score_slope(plain);
      s[${c}] = select(gradient, 0.0, is_hidden(base2));
      hidden |= select(0u, 1u, is_hidden(base2));
    }`,
)}
    scores[at * u32(OWN) + r] = s;
  }
}

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let i0 = work.first + i32(lane) * OWN;
  let range = visible_keys(block, work.first, min(work.first + ROWS, block.q_length));

${rowHandles(tile, q, 'query', (r) => `q_row(work, head, min(i0 + ${r}, block.q_length - 1))`)}
${rowHandles(tile, gradient, 'd_out', (r) => `o_row(work, head, min(i0 + ${r}, block.q_length - 1))`)}
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'work.first', 'work.first + ROWS', 'first', 'first + KEYS')};
    let groups = groups_of(range.y - first);
    hidden = 0u;
${dotProducts(tile, 'scores', { tensor: q, handles: 'query' }, { tensor: k, row: kRow }, quadsOf(variant.k))}
${dotProducts(tile, 'd_weights', { tensor: gradient, handles: 'd_out' }, { tensor: v, row: vRow }, quadsOf(variant.v))}
    for (var r = 0; r < OWN; r++) {
      score_gradients(work, head, i0 + r, u32(r), range, first, groups, lane, full);
    }
${accumulate(tile, 'acc', 'scores', { tensor: k, row: kRow }, quadsOf(variant.k))}
  }
  for (var r = 0; r < OWN; r++) {
    if (i0 + r >= block.q_length) { break; }
    let row = q_row(work, head, i0 + r);
    for (var n = 0u; n < K4; n++) { dq_put(row, n, acc[n * u32(OWN) + u32(r)]); }
  }
}`,
  };
}
