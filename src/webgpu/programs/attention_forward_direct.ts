// SPDX-License-Identifier: Apache-2.0
/**
 * attention_forward.ts for software adapters: the same online softmax, four threads to a tile of
 * `rows` queries of one head, `threadRows` each, `keys` keys at a time, no barriers (see
 * wgsl/direct.ts). Private arrays: the tile's scores, which become its weights, and the accumulator.
 * Scores, weights and sums are float32.
 */
import type { Program } from '../program.js';
import { forwardPass } from './attention_passes.js';
import type { AttentionForwardVariant } from './attention_passes.js';
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
import { quadsOf } from '../wgsl/tensor.js';

export function attentionForwardDirectProgram(variant: AttentionForwardVariant): Program {
  const { dropout, tile } = variant;
  const { prelude, ...shared } = forwardPass(variant);
  const { q, k, v } = attentionTensors(variant);
  const kvRow = (at: string) => `kv_row(work, kv_head, ${at})`;
  const R = tile.threadRows;
  // Scores that need nothing but their scale are final as soon as they are made.
  const plain = variant.bias === 'none' && !variant.softcap;
  const finish = (r: number) =>
    plain
      ? `s *= factor; highest[${r}] = max(highest[${r}], select(HIDDEN, highest_of(s), full));`
      : '';
  const dropped = (c: number) =>
    `    p[${c}] *= keep_scale(drop_row, key_row(work.block, min(first + i32(4u * at) + column_of(lane, ${c}u), work.block.k_length - 1)));`;
  return {
    ...shared,
    workgroupSize: DIRECT_LANES,
    subgroups: tile.quads === true,
    code: () => /* wgsl */ `
${prelude}
${directCode(tile)}
var<private> weights: array<vec4f, ${weightVectors(tile)}>;
var<private> acc: array<vec4f, ${accumulatorVectors(tile, quadsOf(variant.v))}>;

var<private> hidden: u32;

// The scores of a row in base 2; the highest of them.
fn finish_scores(work: Work, head: u32, i: i32, r: u32, range: vec2i, first: i32, groups: u32, lane: u32, full: bool) -> f32 {
  var highest = HIDDEN;
  for (var at = 0u; at < groups; at++) {
    var s = weights[at * u32(OWN) + r];
${unroll(
  4,
  (c) => `    {
      let j = first + i32(4u * at) + column_of(lane, ${c}u);
      let seen = full | ((j < range.y) & visible(work.block, i, j));
      s[${c}] = score(capped(s[${c}]), work.batch, head, u32(work.block.q_start + i), u32(j), seen);
    }`,
)}
    weights[at * u32(OWN) + r] = s;
    highest = max(highest, highest_of(s));
    hidden |= select(0u, 1u, any(s < vec4f(-1.0e38)));
  }
  return highest;
}
// Turns the scores of a row into weights and returns their sum.
fn make_weights(work: Work, head: u32, i: i32, r: u32, highest: f32, first: i32, groups: u32, lane: u32) -> f32 {
  var total = 0.0;
  ${dropout ? 'let drop_row = row_key(work.batch, head, u32(work.block.q_start + i));' : ''}
  for (var at = 0u; at < groups; at++) {
    let s = weights[at * u32(OWN) + r];
    var p = select(exp2(s - highest), vec4f(0.0), s < vec4f(-1.0e38));
    total += dot(p, vec4f(1.0));
${dropout ? unroll(4, dropped) : ''}
    weights[at * u32(OWN) + r] = p;
  }
  return total;
}

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let i0 = work.first + i32(lane) * OWN;
  let range = visible_keys(block, work.first, min(work.first + ROWS, block.q_length));

${rowHandles(tile, q, 'query', (r) => `q_row(work, head, min(i0 + ${r}, block.q_length - 1))`)}
  var running_max = array<f32, ${R}>(${unroll(R, () => 'HIDDEN', ', ')});
  var running_sum = array<f32, ${R}>();
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'work.first', 'work.first + ROWS', 'first', 'first + KEYS')};
    let groups = groups_of(range.y - first);
    var highest = running_max;
    // Hidden scores must not count, so a plain tile is finished at once only where there are none.
    let unfinished = ${plain ? 'select(groups, 0u, full)' : 'groups'};
    let factor = ${plain ? 'select(1.0, uniforms.scale * LOG2E, full)' : '1.0'};
    hidden = 0u;
${dotProducts(tile, 'weights', { tensor: q, handles: 'query' }, { tensor: k, row: kvRow }, quadsOf(variant.k), finish)}
    var shrink = array<f32, ${R}>();
    for (var r = 0; r < OWN; r++) {
      let before = running_max[r];
      var top = highest[r];
      top = max(top, finish_scores(work, head, i0 + r, u32(r), range, first, unfinished, lane, full));
      shrink[r] = exp2(before - top);
      running_max[r] = top;
      running_sum[r] = running_sum[r] * shrink[r] + make_weights(work, head, i0 + r, u32(r), top, first, groups, lane);
    }
${accumulate(tile, 'acc', 'weights', { tensor: v, row: kvRow }, quadsOf(variant.v), ' * shrink[n % u32(OWN)]')}
  }
  for (var r = 0; r < OWN; r++) {
    let i = i0 + r;
    if (i >= block.q_length) { break; }
    let end = end_row(head, running_max[r], running_sum[r]);
    let row = q_row(work, head, i);
    for (var n = 0u; n < V4; n++) { o_put(row, n, end_value(acc[n * u32(OWN) + u32(r)], end)); }
    lse[stats_row(work, head, i)] = end.lse_bits;
  }
}`,
  };
}
