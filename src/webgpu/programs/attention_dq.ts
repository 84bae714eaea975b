// SPDX-License-Identifier: Apache-2.0
/**
 * dQ = dS K,  dS = P ∘ (dO Vᵀ ∘ keep - delta) ∘ slope,  P = exp2(scores - logSumExp) recomputed.
 *
 * The frame of attention_forward.ts: a workgroup owns `rows` queries of one head and streams the
 * visible keys; K and V tiles, transposed, and dS in workgroup memory; dQ in registers. Three
 * barriers a tile. Each dQ is summed by one thread in a fixed order, so reruns agree bit for bit.
 */
import type { Program } from '../program.js';
import { dqPass } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import {
  loadTile,
  sharedOutTileQuads,
  tileConstants,
  tileQuads,
  tileWorkgroup,
} from '../wgsl/shared_tile.js';
import { quadsOf } from '../wgsl/tensor.js';

export function attentionDqProgram(variant: AttentionVariant): Program {
  const { k, v, dropout, tile } = variant;
  const { prelude, ...shared } = dqPass(variant);
  return {
    ...shared,
    workgroupSize: tileWorkgroup(variant),
    code: () => /* wgsl */ `
${prelude}
${tileConstants(variant)}
var<workgroup> k_tile: array<vec4f, ${sharedOutTileQuads(variant, quadsOf(k))}>;
var<workgroup> v_tile: array<vec4f, ${tileQuads(variant, quadsOf(v))}>;
var<workgroup> ds: array<f32, ${tile.rows * (tile.keys + 1)}>;

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let column0 = lane % CT;
  let row0 = i32(lane / CT) * TR;
  let i0 = work.first;
  let range = visible_keys(block, i0, min(i0 + ROWS, block.q_length));

  var q_rows = array<u32, TR>();
  var d_o_rows = array<u32, TR>();
  var stats = array<vec2f, TR>();
  var acc = array<array<vec4f, KT>, TR>();
  for (var r = 0; r < TR; r++) {
    let i = min(i0 + row0 + r, block.q_length - 1);
    q_rows[r] = q_row(work, head, i);
    d_o_rows[r] = o_row(work, head, i);
    stats[r] = row_stats[stats_row(work, head, i)];
  }
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
${loadTile('k_tile', 'k', 'K4', 'k_row(work, kv_head, at)', 'range.y')}
${loadTile('v_tile', 'v', 'V4', 'v_row(work, kv_head, at)', 'range.y')}
    workgroupBarrier();
    var s = array<array<f32, TC>, TR>();
    var dp = array<array<f32, TC>, TR>();
    for (var quad = 0u; quad < K4; quad++) {
      for (var r = 0; r < TR; r++) {
        let query = q_at(q_rows[r], quad);
        for (var c = 0; c < TC; c++) { s[r][c] += dot(query, k_tile[quad * PITCH + column0 + CT * u32(c)]); }
      }
    }
    for (var quad = 0u; quad < V4; quad++) {
      for (var r = 0; r < TR; r++) {
        let d = d_o_at(d_o_rows[r], quad);
        for (var c = 0; c < TC; c++) { dp[r][c] += dot(d, v_tile[quad * PITCH + column0 + CT * u32(c)]); }
      }
    }
    for (var r = 0; r < TR; r++) {
      let i = i0 + row0 + r;
      ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
      for (var c = 0; c < TC; c++) {
        let column = column0 + CT * u32(c);
        let j = first + i32(column);
        let seen = full || (j < range.y && visible(block, i, j));
        let plain = capped(s[r][c]);
        let base2 = score(plain, work.batch, head, u32(block.q_start + i), u32(j), seen);
        var gradient = 0.0;
        if (!is_hidden(base2)) {
          let p = exp2(base2 - stats[r].x);
          ${dropout ? 'dp[r][c] *= keep_scale(drop_row, key_row(block, j));' : ''}
          gradient = p * (dp[r][c] - stats[r].y) * score_slope(plain);
        }
        ds[u32(row0 + r) * PITCH + column] = gradient;
      }
    }
    workgroupBarrier();
    let columns = u32(min(KEYS, range.y - first));
    for (var j = 0u; j < columns; j++) {
      for (var n = 0; n < KT; n++) {
        let key = k_tile[(column0 + CT * u32(n)) * PITCH + j];
        for (var r = 0; r < TR; r++) {
          let gradient = ds[u32(row0 + r) * PITCH + j];
          // A hidden key may be NaN or infinite, and zero times that is not zero. By its bits: NaN compares as zero does.
          acc[r][n] += select(vec4f(0.0), gradient * key, full || bitcast<u32>(gradient) != 0u);
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0; r < TR; r++) {
    if (i0 + row0 + r >= block.q_length) { continue; }
    for (var n = 0; n < KT; n++) {
      let quad = column0 + CT * u32(n);
      if (quad < K4) { dq_put(q_rows[r], quad, acc[r][n]); }
    }
  }
}`,
  };
}
