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
import { DIRECT_LANES } from '../wgsl/direct.js';
import { attendKeys, directSoftmax } from '../wgsl/direct_softmax.js';

export function attentionForwardDirectProgram(variant: AttentionForwardVariant): Program {
  const { prelude, ...shared } = forwardPass(variant);
  const rows = {
    query: (r: string) => `i0 + ${r}`,
    head: () => 'work.head',
    begin: 'work.first',
    end: 'work.first + ROWS',
  };
  return {
    ...shared,
    workgroupSize: DIRECT_LANES,
    subgroups: variant.tile.quads === true,
    code: () => /* wgsl */ `
${prelude}
${directSoftmax(variant)}

fn run(group: u32, lane: u32) {
  let work = locate(group);
  let kv_head = work.head / (uniforms.heads / uniforms.kv_heads);
  let i0 = work.first + i32(lane) * OWN;
  let range = visible_keys(work.block, work.first, min(work.first + ROWS, work.block.q_length));
${attendKeys(variant, rows)}
  for (var r = 0; r < OWN; r++) {
    let i = i0 + r;
    if (i >= block.q_length) { break; }
    let end = end_row(work.head, running_max[r], running_sum[r]);
    let row = o_row(work, work.head, i);
    for (var n = 0u; n < V4; n++) { o_put(row, n, end_value(acc[n * u32(OWN) + u32(r)], end)); }
    lse[stats_row(work, work.head, i)] = end.lse_bits;
  }
}`,
  };
}
