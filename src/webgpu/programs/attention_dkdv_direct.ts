// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dkdv.ts for software adapters: four threads to a tile of `rows` keys of one key/value
 * head, `threadRows` each, `keys` queries at a time, head after head of those that share it, no
 * barriers (see wgsl/direct.ts). Private arrays: scores, which become dS, dP, which becomes P, and the
 * accumulators. Each dK and dV has one owner and a fixed order of summation.
 */
import type { Program } from '../program.js';
import { dkdvPass } from './attention_passes.js';
import type { AttentionDkdvVariant } from './attention_passes.js';
import { attentionTensors, fullTile } from '../wgsl/attention.js';
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

export function attentionDkdvDirectProgram(variant: AttentionDkdvVariant): Program {
  const { dropout, tile } = variant;
  const { prelude, ...shared } = dkdvPass(variant);
  const { q, k, v } = attentionTensors(variant);
  const gradient = fixedRows('d_o', 'float32', variant.v);
  const queries = { tensor: q, row: (at: string) => `q_row(work, head, ${at})` };
  const gradients = { tensor: gradient, row: (at: string) => `o_row(work, head, ${at})` };
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
var<private> acc_k: array<vec4f, ${accumulatorVectors(tile, quadsOf(variant.k))}>;
var<private> acc_v: array<vec4f, ${accumulatorVectors(tile, quadsOf(variant.v))}>;
var<private> hidden: u32;

// Turns the scores of four queries into their gradients, and the gradients of the weights into the weights.
fn score_gradients(work: Work, head: u32, j0: i32, at: u32, range: vec2i, first: i32, lane: u32, full: bool) {
  let block = work.block;
${unroll(
  4,
  (c) => `  let i${c} = first + i32(4u * at) + column_of(lane, ${c}u);
  let stats${c} = row_stats[stats_row(work, head, min(i${c}, range.y - 1))];
  ${dropout ? `let drop_row${c} = row_key(work.batch, head, u32(block.q_start + i${c}));` : ''}`,
)}
  for (var r = 0; r < OWN; r++) {
    let j = j0 + r;
    var s = scores[at * u32(OWN) + u32(r)];
    var dp = d_weights[at * u32(OWN) + u32(r)];
${unroll(
  4,
  (c) => `    {
      let seen = full | ((i${c} < range.y) & visible(block, i${c}, j));
      let plain = capped(s[${c}]);
      let base2 = score(plain, work.batch, head, u32(block.q_start + i${c}), u32(j), seen);
      let p = select(exp2(base2 - stats${c}.x), 0.0, is_hidden(base2));
      let keep = ${dropout ? `keep_scale(drop_row${c}, key_row(block, min(j, block.k_length - 1)))` : '1.0'};
      let gradient = p * (dp[${c}] * keep - stats${c}.y) * score_slope(plain);
      s[${c}] = select(gradient, 0.0, is_hidden(base2));
      hidden |= select(0u, 1u, is_hidden(base2));
      dp[${c}] = p * keep;
    }`,
)}
    scores[at * u32(OWN) + u32(r)] = s;
    d_weights[at * u32(OWN) + u32(r)] = dp;
  }
}

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let kv_head = work.head;
  let group_heads = uniforms.heads / uniforms.kv_heads;
  let j0 = work.first + i32(lane) * OWN;
  let range = visible_queries(block, work.first, min(work.first + ROWS, block.k_length));

${rowHandles(tile, k, 'key', (r) => `k_row(work, kv_head, min(j0 + ${r}, block.k_length - 1))`)}
${rowHandles(tile, v, 'value', (r) => `v_row(work, kv_head, min(j0 + ${r}, block.k_length - 1))`)}
  for (var head = kv_head * group_heads; head < (kv_head + 1u) * group_heads; head++) {
    for (var first = range.x; first < range.y; first += KEYS) {
      let full = ${fullTile(variant, 'first', 'first + KEYS', 'work.first', 'work.first + ROWS')};
      let groups = groups_of(range.y - first);
    hidden = 0u;
${dotProducts(tile, 'scores', { tensor: k, handles: 'key' }, queries, quadsOf(variant.k))}
${dotProducts(tile, 'd_weights', { tensor: v, handles: 'value' }, gradients, quadsOf(variant.v))}
      for (var at = 0u; at < groups; at++) {
        score_gradients(work, head, j0, at, range, first, lane, full);
      }
${accumulate(tile, 'acc_v', 'd_weights', gradients, quadsOf(variant.v))}
${accumulate(tile, 'acc_k', 'scores', queries, quadsOf(variant.k))}
    }
  }
  for (var r = 0; r < OWN; r++) {
    if (j0 + r >= block.k_length) { break; }
    let row = kv_row(work, kv_head, j0 + r);
    for (var n = 0u; n < K4; n++) { dk_put(row + uniforms.first_key, n, acc_k[n * u32(OWN) + u32(r)]); }
    for (var n = 0u; n < V4; n++) { dv_put(row + uniforms.first_value, n, acc_v[n * u32(OWN) + u32(r)]); }
  }
}`,
  };
}
