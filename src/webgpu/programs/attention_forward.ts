// SPDX-License-Identifier: Apache-2.0
/**
 * output = softmax(scores) V and logSumExp, in one pass over the visible keys (online softmax:
 * Milakov & Gimelshein 2018; tiled as in FlashAttention, Dao et al. 2022; no Mq × Mk array).
 *
 * A workgroup owns `rows` queries of one head and streams `keys` keys at a time: K into workgroup
 * memory, scores in registers, weights P into workgroup memory, V over K's place, P V in registers.
 * A thread owns threadRows rows; columnThreads threads share a row. Key tiles that no query of the
 * workgroup may see are never visited; tiles that all see skip the test of each element.
 * Memory: max(K tile, V tile) + P + row maxima. Four barriers a tile. Scores, P, sums: float32.
 */
import type { Program } from '../program.js';
import { forwardPass } from './attention_passes.js';
import type { AttentionForwardVariant } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import {
  loadTile,
  sharedOutTileQuads,
  tileConstants,
  tileQuads,
  tileWorkgroup,
} from '../wgsl/shared_tile.js';
import { quadsOf } from '../wgsl/tensor.js';

export function attentionForwardProgram(variant: AttentionForwardVariant): Program {
  const { k, v, dropout, tile } = variant;
  const sharedQuads = Math.max(
    tileQuads(variant, quadsOf(k)),
    sharedOutTileQuads(variant, quadsOf(v)),
  );
  const { prelude, ...shared } = forwardPass(variant);
  return {
    ...shared,
    workgroupSize: tileWorkgroup(variant),
    code: () => /* wgsl */ `
${prelude}
${tileConstants(variant)}
var<workgroup> kv_tile: array<vec4f, ${sharedQuads}>;
var<workgroup> weights: array<f32, ${tile.rows * (tile.keys + 1)}>;
var<workgroup> row_max: array<f32, ${tile.rows * tile.columnThreads}>;

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let column0 = lane % CT;
  let row0 = i32(lane / CT) * TR;
  let i0 = work.first;
  let i1 = min(i0 + ROWS, block.q_length);
  let range = visible_keys(block, i0, i1);

  var q_rows = array<u32, TR>();
  var running_max = array<f32, TR>();
  var running_sum = array<f32, TR>();
  var acc = array<array<vec4f, VT>, TR>();
  for (var r = 0; r < TR; r++) {
    q_rows[r] = q_row(work, head, min(i0 + row0 + r, block.q_length - 1));
    running_max[r] = HIDDEN;
  }
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
${loadTile('kv_tile', 'k', 'K4', 'k_row(work, kv_head, at)', 'range.y')}
    workgroupBarrier();
    var s = array<array<f32, TC>, TR>();
    for (var quad = 0u; quad < K4; quad++) {
      var keys = array<vec4f, TC>();
      for (var c = 0; c < TC; c++) { keys[c] = kv_tile[quad * PITCH + column0 + CT * u32(c)]; }
      for (var r = 0; r < TR; r++) {
        let query = q_at(q_rows[r], quad);
        for (var c = 0; c < TC; c++) { s[r][c] += dot(query, keys[c]); }
      }
    }
    for (var r = 0; r < TR; r++) {
      let i = i0 + row0 + r;
      var highest = HIDDEN;
      for (var c = 0; c < TC; c++) {
        let j = first + i32(column0) + i32(CT) * c;
        let seen = full || (j < range.y && visible(block, i, j));
        s[r][c] = score(capped(s[r][c]), work.batch, head, u32(block.q_start + i), u32(j), seen);
        highest = max(highest, s[r][c]);
      }
      row_max[u32(row0 + r) * CT + column0] = highest;
    }
    workgroupBarrier();
${loadTile('kv_tile', 'v', 'V4', 'v_row(work, kv_head, at)', 'range.y')}
    for (var r = 0; r < TR; r++) {
      let before = running_max[r];
      for (var n = 0u; n < CT; n++) {
        running_max[r] = max(running_max[r], row_max[u32(row0 + r) * CT + n]);
      }
      let shrink = exp2(before - running_max[r]);
      running_sum[r] *= shrink;
      for (var n = 0; n < VT; n++) { acc[r][n] *= shrink; }
      ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i0 + row0 + r));' : ''}
      for (var c = 0; c < TC; c++) {
        let column = column0 + CT * u32(c);
        var p = select(exp2(s[r][c] - running_max[r]), 0.0, is_hidden(s[r][c]));
        running_sum[r] += p;
        ${dropout ? 'if (p > 0.0) { p *= keep_scale(drop_row, key_row(block, first + i32(column))); }' : ''}
        weights[u32(row0 + r) * PITCH + column] = p;
      }
    }
    workgroupBarrier();
    let columns = u32(min(KEYS, range.y - first));
    for (var j = 0u; j < columns; j++) {
      for (var n = 0; n < VT; n++) {
        let value = kv_tile[(column0 + CT * u32(n)) * PITCH + j];
        for (var r = 0; r < TR; r++) {
          let p = weights[u32(row0 + r) * PITCH + j];
          // A hidden key's value may be NaN or infinite, and zero times that is not zero.
          acc[r][n] += select(vec4f(0.0), p * value, full || p > 0.0);
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0; r < TR; r++) { row_max[u32(row0 + r) * CT + column0] = running_sum[r]; }
  workgroupBarrier();
  for (var r = 0; r < TR; r++) {
    let i = i0 + row0 + r;
    if (i >= block.q_length) { continue; }
    var total = 0.0;
    for (var n = 0u; n < CT; n++) { total += row_max[u32(row0 + r) * CT + n]; }
    let end = end_row(head, running_max[r], total);
    let row = o_row(work, head, i);
    for (var n = 0; n < VT; n++) {
      let quad = column0 + CT * u32(n);
      if (quad < V4) { o_put(row, quad, end_value(acc[r][n], end)); }
    }
    if (column0 == 0u) { lse[stats_row(work, head, i)] = end.lse_bits; }
  }
}`,
  };
}
