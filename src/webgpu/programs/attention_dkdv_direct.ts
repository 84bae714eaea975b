// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dkdv.ts for software adapters: one thread to `rows` keys of one key/value head, `keys`
 * queries at a time, head after head of those that share it, nothing shared between threads (see
 * wgsl/direct.ts). Each dK and dV has one owner and a fixed order of summation.
 */
import type { Program } from '../program.js';
import { dkdvPass } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import { accumulate, columnRows, DIRECT_WORKGROUP, dotProducts } from '../wgsl/direct.js';

export function attentionDkdvDirectProgram(variant: AttentionVariant): Program {
  const { dropout } = variant;
  const { prelude, ...shared } = dkdvPass(variant);
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
  let kv_head = work.head;
  let group_heads = uniforms.heads / uniforms.kv_heads;
  let j0 = work.first;
  let range = visible_queries(block, j0, min(j0 + ROWS, block.k_length));

  var kv_rows = array<u32, ROWS>();
  var s = array<f32, ROWS * KEYS>();
  var dp = array<f32, ROWS * KEYS>();
  var acc_k = array<vec4f, ROWS * K4>();
  var acc_v = array<vec4f, ROWS * V4>();
  for (var r = 0; r < ROWS; r++) {
    kv_rows[r] = kv_row(work, kv_head, min(j0 + r, block.k_length - 1));
  }
  for (var head = kv_head * group_heads; head < (kv_head + 1u) * group_heads; head++) {
    for (var first = range.x; first < range.y; first += KEYS) {
      let full = ${fullTile(variant, 'first', 'first + KEYS', 'j0', 'j0 + ROWS')};
${columnRows(variant, (at) => `q_row(work, head, ${at})`)}
${dotProducts(variant, 's', 'k', 'kv_rows', 'q', 'K4')}
${dotProducts(variant, 'dp', 'v', 'kv_rows', 'd_o', 'V4')}
      for (var c = 0; c < KEYS; c++) {
        let i = first + c;
        let stats = row_stats[stats_row(work, head, min(i, range.y - 1))];
        ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
        for (var r = 0; r < ROWS; r++) {
          let at = r * KEYS + c;
          let j = j0 + r;
          let seen = full || (i < range.y && visible(block, i, j));
          let plain = capped(s[at]);
          let base2 = score(plain, work.batch, head, u32(block.q_start + i), u32(j), seen);
          var gradient = 0.0;
          var dropped = 0.0;
          if (!is_hidden(base2)) {
            let p = exp2(base2 - stats.x);
            var keep = 1.0;
            ${dropout ? 'keep = keep_scale(drop_row, key_row(block, j));' : ''}
            dropped = p * keep;
            gradient = p * (dp[at] * keep - stats.y) * score_slope(plain);
          }
          s[at] = gradient;
          dp[at] = dropped;
        }
      }
${accumulate(variant, 'acc_v', 'dp', 'd_o', 'V4', () => '')}
${accumulate(variant, 'acc_k', 's', 'q', 'K4', () => '')}
    }
  }
  for (var r = 0; r < ROWS; r++) {
    if (j0 + r >= block.k_length) { break; }
    for (var n = 0u; n < K4; n++) { dk_put(kv_rows[r], n, acc_k[u32(r) * K4 + n]); }
    for (var n = 0u; n < V4; n++) { dv_put(kv_rows[r], n, acc_v[u32(r) * V4 + n]); }
  }
}`,
  };
}
