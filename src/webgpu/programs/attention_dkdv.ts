// SPDX-License-Identifier: Apache-2.0
/**
 * dV = Pᵀ dO and dK = dSᵀ Q, summed over all query heads that share a key/value head.
 *
 * The mirror of attention_dq.ts: a workgroup owns `rows` keys of one key/value head and streams the
 * queries that see them, `keys` at a time, head after head; Q and dO tiles, transposed, their row
 * statistics, and P or dS in workgroup memory (one array, first P, then dS); dK and dV in registers.
 * Five barriers a tile. No atomics and no second copy: every sum has one owner and a fixed order.
 */
import type { Program } from '../program.js';
import { dkdvPass } from './attention_passes.js';
import type { AttentionDkdvVariant } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import { loadTile, sharedOutTileQuads, tileConstants, tileWorkgroup } from '../wgsl/shared_tile.js';
import { quadsOf } from '../wgsl/tensor.js';

/** Adds weights[row][i] × tile[quad][i] to an accumulator of `quads` quads a row. */
function accumulate(target: string, tile: string, quads: string): string {
  return /* wgsl */ `
      for (var i = 0u; i < columns; i++) {
        for (var n = 0; n < ${quads}; n++) {
          let value = ${tile}[(column0 + CT * u32(n)) * PITCH + i];
          for (var r = 0; r < TR; r++) {
            let weight = weights[u32(row0 + r) * PITCH + i];
            ${target}[r][n] += select(vec4f(0.0), weight * value, full || bitcast<u32>(weight) != 0u);
          }
        }
      }`;
}

export function attentionDkdvProgram(variant: AttentionDkdvVariant): Program {
  const { k, v, dropout, tile } = variant;
  const { prelude, ...shared } = dkdvPass(variant);
  return {
    ...shared,
    workgroupSize: tileWorkgroup(variant),
    code: () => /* wgsl */ `
${prelude}
${tileConstants(variant)}
var<workgroup> q_tile: array<vec4f, ${sharedOutTileQuads(variant, quadsOf(k))}>;
var<workgroup> d_o_tile: array<vec4f, ${sharedOutTileQuads(variant, quadsOf(v))}>;
var<workgroup> tile_stats: array<vec2f, KEYS>;
var<workgroup> weights: array<f32, ${tile.rows * (tile.keys + 1)}>;

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let block = work.block;
  let kv_head = work.head;
  let group_heads = uniforms.heads / uniforms.kv_heads;
  let column0 = lane % CT;
  let row0 = i32(lane / CT) * TR;
  let j0 = work.first;
  let range = visible_queries(block, j0, min(j0 + ROWS, block.k_length));

  var kv_rows = array<u32, TR>();
  var acc_k = array<array<vec4f, KT>, TR>();
  var acc_v = array<array<vec4f, VT>, TR>();
  for (var r = 0; r < TR; r++) {
    kv_rows[r] = kv_row(work, kv_head, min(j0 + row0 + r, block.k_length - 1));
  }
  for (var head = kv_head * group_heads; head < (kv_head + 1u) * group_heads; head++) {
    for (var first = range.x; first < range.y; first += KEYS) {
      let full = ${fullTile(variant, 'first', 'first + KEYS', 'j0', 'j0 + ROWS')};
      let columns = u32(min(KEYS, range.y - first));
${loadTile('q_tile', 'q', 'K4', 'q_row(work, head, at)', 'range.y')}
${loadTile('d_o_tile', 'd_o', 'V4', 'o_row(work, head, at)', 'range.y')}
      for (var n = lane; n < columns; n += WORKGROUP_SIZE) {
        tile_stats[n] = row_stats[stats_row(work, head, first + i32(n))];
      }
      workgroupBarrier();
      var s = array<array<f32, TC>, TR>();
      var dp = array<array<f32, TC>, TR>();
      for (var quad = 0u; quad < K4; quad++) {
        for (var r = 0; r < TR; r++) {
          let key = k_at(kv_rows[r] + uniforms.first_key, quad);
          for (var c = 0; c < TC; c++) { s[r][c] += dot(key, q_tile[quad * PITCH + column0 + CT * u32(c)]); }
        }
      }
      for (var quad = 0u; quad < V4; quad++) {
        for (var r = 0; r < TR; r++) {
          let value = v_at(kv_rows[r] + uniforms.first_value, quad);
          for (var c = 0; c < TC; c++) { dp[r][c] += dot(value, d_o_tile[quad * PITCH + column0 + CT * u32(c)]); }
        }
      }
      for (var r = 0; r < TR; r++) {
        let j = j0 + row0 + r;
        for (var c = 0; c < TC; c++) {
          let column = column0 + CT * u32(c);
          let i = first + i32(column);
          let seen = full || (i < range.y && visible(block, i, j));
          let plain = capped(s[r][c]);
          let base2 = score(plain, work.batch, head, u32(block.q_start + i), u32(j), seen);
          var dropped = 0.0;
          var gradient = 0.0;
          if (!is_hidden(base2)) {
            let p = exp2(base2 - tile_stats[column].x);
            var keep = 1.0;
            ${dropout ? 'keep = keep_scale(row_key(work.batch, head, u32(block.q_start + i)), key_row(block, j));' : ''}
            dropped = p * keep;
            gradient = p * (dp[r][c] * keep - tile_stats[column].y) * score_slope(plain);
          }
          weights[u32(row0 + r) * PITCH + column] = dropped;
          s[r][c] = gradient;
        }
      }
      workgroupBarrier();
${accumulate('acc_v', 'd_o_tile', 'VT')}
      workgroupBarrier();
      for (var r = 0; r < TR; r++) {
        for (var c = 0; c < TC; c++) { weights[u32(row0 + r) * PITCH + column0 + CT * u32(c)] = s[r][c]; }
      }
      workgroupBarrier();
${accumulate('acc_k', 'q_tile', 'KT')}
      workgroupBarrier();
    }
  }
  for (var r = 0; r < TR; r++) {
    if (j0 + row0 + r >= block.k_length) { continue; }
    for (var n = 0; n < KT; n++) {
      let quad = column0 + CT * u32(n);
      if (quad < K4) { dk_put(kv_rows[r] + uniforms.first_key, quad, acc_k[r][n]); }
    }
    for (var n = 0; n < VT; n++) {
      let quad = column0 + CT * u32(n);
      if (quad < V4) { dv_put(kv_rows[r] + uniforms.first_value, quad, acc_v[r][n]); }
    }
  }
}`,
  };
}
