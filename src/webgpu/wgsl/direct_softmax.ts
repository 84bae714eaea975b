// SPDX-License-Identifier: Apache-2.0
/**
 * What the forward programs for software adapters do with their keys (see direct.ts): online softmax,
 * `KEYS` keys at a time. Private arrays: `weights`, the scores of a tile, which become its weights, and
 * `acc`, the accumulator.
 */
import { attentionTensors, fullTile } from './attention.js';
import type { AttentionVariant } from './attention.js';
import {
  accumulate,
  accumulatorVectors,
  directCode,
  dotProducts,
  rowHandles,
  unroll,
  weightVectors,
} from './direct.js';
import { quadsOf } from './tensor.js';

/** Where the rows of a thread are: WGSL expressions, those of a row in terms of its number, `r`. */
export interface DirectRows {
  /** Query of the block, which may be past its end. */
  query: (r: string) => string;
  head: (r: string) => string;
  /** The queries of the tile, half open. */
  begin: string;
  end: string;
}

/** WGSL functions finish_scores and make_weights, the arrays and what they need. */
export function directSoftmax({ dropout, tile, v }: AttentionVariant): string {
  const dropped = (c: number) =>
    `    p[${c}] *= keep_scale(drop_row, key_row(work.block, min(first + i32(4u * at) + column_of(lane, ${c}u), work.block.k_length - 1)));`;
  return /* wgsl */ `
${directCode(tile)}
var<private> weights: array<vec4f, ${weightVectors(tile)}>;
var<private> acc: array<vec4f, ${accumulatorVectors(tile, quadsOf(v))}>;
var<private> hidden: u32; // see accumulate

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
}`;
}

/**
 * Statements that attend the keys of `range`: they leave running_max and running_sum of the thread's
 * rows, and acc, which is to be divided by the sum. Given are work, kv_head, range and lane.
 */
export function attendKeys(variant: AttentionVariant, rows: DirectRows): string {
  const { tile } = variant;
  const { q, k, v } = attentionTensors(variant);
  const kRow = (at: string) => `k_row(work, kv_head, ${at})`;
  const vRow = (at: string) => `v_row(work, kv_head, ${at})`;
  const queryRow = (r: number) =>
    `q_row(work, ${rows.head(`${r}`)}, min(${rows.query(`${r}`)}, work.block.q_length - 1))`;
  const R = tile.threadRows;
  // Scores that need nothing but their scale are final as soon as they are made; but hidden ones
  // must not count, so a tile is finished at once only where there are none.
  const plain = variant.bias === 'none' && !variant.softcap;
  const finish = (r: number) =>
    plain
      ? `s *= factor; highest[${r}] = max(highest[${r}], select(HIDDEN, highest_of(s), full));`
      : '';
  const place = `${rows.head('r')}, ${rows.query('r')}`;
  return /* wgsl */ `
  let block = work.block;
${rowHandles(tile, q, 'query', queryRow)}
  var running_max = array<f32, ${R}>(${unroll(R, () => 'HIDDEN', ', ')});
  var running_sum = array<f32, ${R}>();
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, rows.begin, rows.end, 'first', 'first + KEYS')};
    let groups = groups_of(range.y - first);
    var highest = running_max;
    let unfinished = ${plain ? 'select(groups, 0u, full)' : 'groups'};
    let factor = ${plain ? 'select(1.0, uniforms.scale * LOG2E, full)' : '1.0'};
    hidden = 0u;
${dotProducts(tile, 'weights', { tensor: q, handles: 'query' }, { tensor: k, row: kRow }, quadsOf(variant.k), finish)}
    var shrink = array<f32, ${R}>();
    for (var r = 0; r < OWN; r++) {
      let before = running_max[r];
      var top = highest[r];
      top = max(top, finish_scores(work, ${place}, u32(r), range, first, unfinished, lane, full));
      shrink[r] = exp2(before - top);
      running_max[r] = top;
      running_sum[r] = running_sum[r] * shrink[r] + make_weights(work, ${place}, u32(r), top, first, groups, lane);
    }
${accumulate(tile, 'acc', 'weights', { tensor: v, row: vRow }, quadsOf(variant.v), ' * shrink[n % u32(OWN)]')}
  }`;
}
