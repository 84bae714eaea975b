// SPDX-License-Identifier: Apache-2.0
/**
 * attention_forward.ts for software adapters: the same online softmax, one thread to `rows` queries
 * of one head, `keys` keys at a time, nothing shared between threads (see wgsl/direct.ts).
 * Accumulators and scores are private arrays; scores, weights and sums are float32.
 */
import type { Program } from '../program.js';
import { forwardPass } from './attention_passes.js';
import type { AttentionForwardVariant } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import { accumulate, columnRows, DIRECT_WORKGROUP, dotProducts } from '../wgsl/direct.js';

export function attentionForwardDirectProgram(variant: AttentionForwardVariant): Program {
  const { dropout } = variant;
  const { prelude, ...shared } = forwardPass(variant);
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
  var running_max = array<f32, ROWS>();
  var running_sum = array<f32, ROWS>();
  var shrink = array<f32, ROWS>();
  var s = array<f32, ROWS * KEYS>();
  var acc = array<vec4f, ROWS * V4>();
  for (var r = 0; r < ROWS; r++) {
    q_rows[r] = q_row(work, head, min(i0 + r, block.q_length - 1));
    running_max[r] = HIDDEN;
  }
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
${columnRows(variant, (at) => `kv_row(work, kv_head, ${at})`)}
${dotProducts(variant, 's', 'q', 'q_rows', 'k', 'K4')}
    for (var r = 0; r < ROWS; r++) {
      let i = i0 + r;
      var highest = running_max[r];
      for (var c = 0; c < KEYS; c++) {
        let j = first + c;
        let seen = full || (j < range.y && visible(block, i, j));
        let base2 = score(capped(s[r * KEYS + c]), work.batch, head, u32(block.q_start + i), u32(j), seen);
        s[r * KEYS + c] = base2;
        highest = max(highest, base2);
      }
      shrink[r] = exp2(running_max[r] - highest);
      running_max[r] = highest;
      running_sum[r] *= shrink[r];
      ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
      for (var c = 0; c < KEYS; c++) {
        let base2 = s[r * KEYS + c];
        var p = select(exp2(base2 - highest), 0.0, is_hidden(base2));
        running_sum[r] += p;
        ${dropout ? 'if (p > 0.0) { p *= keep_scale(drop_row, key_row(block, first + c)); }' : ''}
        s[r * KEYS + c] = p;
      }
    }
${accumulate(variant, 'acc', 's', 'v', 'V4', (r) => ` * shrink[${r}]`)}
  }
  for (var r = 0; r < ROWS; r++) {
    let i = i0 + r;
    if (i >= block.q_length) { break; }
    let end = end_row(head, running_max[r], running_sum[r]);
    for (var n = 0u; n < V4; n++) { o_put(q_rows[r], n, end_value(acc[u32(r) * V4 + n], end)); }
    lse[stats_row(work, head, i)] = end.lse_bits;
  }
}`,
  };
}
