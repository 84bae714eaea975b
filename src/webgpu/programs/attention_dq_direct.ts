// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dq.ts for software adapters: one thread to `rows` queries of one head, `keys` keys at a
 * time, nothing shared between threads (see wgsl/direct.ts). Each dQ has one owner.
 */
import type { Program } from '../program.js';
import { dqPass } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import { accumulate, columnRows, DIRECT_WORKGROUP, dotProducts } from '../wgsl/direct.js';

export function attentionDqDirectProgram(variant: AttentionVariant): Program {
  const { dropout } = variant;
  const { prelude, ...shared } = dqPass(variant);
  return {
    ...shared,
    workgroupSize: DIRECT_WORKGROUP,
    code: () => /* wgsl */ `
${prelude}
fn run(group: u32, lane: u32) {
  let item = group * WORKGROUP_SIZE + lane;
  if (item >= uniforms.items) { return; }
  let work = locate(item);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let i0 = work.first;
  let range = visible_keys(block, i0, min(i0 + ROWS, block.q_length));

  var q_rows = array<u32, ROWS>();
  var stats = array<vec2f, ROWS>();
  var s = array<f32, ROWS * KEYS>();
  var dp = array<f32, ROWS * KEYS>();
  var acc = array<vec4f, ROWS * K4>();
  for (var r = 0; r < ROWS; r++) {
    let i = min(i0 + r, block.q_length - 1);
    q_rows[r] = q_row(work, head, i);
    stats[r] = row_stats[stats_row(work, head, i)];
  }
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
${columnRows(variant, (at) => `kv_row(work, kv_head, ${at})`)}
${dotProducts(variant, 's', 'q', 'q_rows', 'k', 'K4')}
${dotProducts(variant, 'dp', 'd_o', 'q_rows', 'v', 'V4')}
    for (var r = 0; r < ROWS; r++) {
      let i = i0 + r;
      ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
      for (var c = 0; c < KEYS; c++) {
        let at = r * KEYS + c;
        let j = first + c;
        let seen = full || (j < range.y && visible(block, i, j));
        let plain = capped(s[at]);
        let base2 = score(plain, work.batch, head, u32(block.q_start + i), u32(j), seen);
        var gradient = 0.0;
        if (!is_hidden(base2)) {
          var dropped = dp[at];
          ${dropout ? 'dropped *= keep_scale(drop_row, key_row(block, j));' : ''}
          gradient = exp2(base2 - stats[r].x) * (dropped - stats[r].y) * score_slope(plain);
        }
        s[at] = gradient;
      }
    }
${accumulate(variant, 'acc', 's', 'k', 'K4', () => '')}
  }
  for (var r = 0; r < ROWS; r++) {
    if (i0 + r >= block.q_length) { break; }
    for (var n = 0u; n < K4; n++) { dq_put(q_rows[r], n, acc[u32(r) * K4 + n]); }
  }
}`,
  };
}
