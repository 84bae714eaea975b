// SPDX-License-Identifier: Apache-2.0
/**
 * Attention of few queries (wgsl/split.ts) for software adapters: a thread by itself has a span of
 * keys and all rows of the tile, with the blocks of wgsl/direct.ts. The threads of a workgroup have
 * spans of one length, so that they go in step, and exchange nothing. Private arrays: the scores of
 * `keys` keys, which become their weights, and the accumulator. Scores, weights and sums are float32.
 */
import type { Program } from '../program.js';
import { attendKeys, directSoftmax } from '../wgsl/direct_softmax.js';
import { splitPass } from '../wgsl/split.js';
import type { SplitVariant } from '../wgsl/split.js';

export function attentionSplitDirectProgram(variant: SplitVariant): Program {
  const { prelude, ...shared } = splitPass(variant);
  const rows = {
    query: (r: string) => `query_of(work, ${r})`,
    head: (r: string) => `head_of(work, ${r})`,
    begin: 'query_of(work, 0)',
    end: 'query_of(work, ROWS - 1) + 1',
  };
  return {
    ...shared,
    code: () => /* wgsl */ `
${prelude}
${directSoftmax(variant)}

fn run(group: u32, lane: u32) {
  let piece = group * WORKGROUP_SIZE + lane;
  if (piece >= uniforms.pieces) { return; }
  let work = locate(piece / uniforms.splits);
  let kv_head = work.head;
  let range = span_of(work, piece % uniforms.splits);
${attendKeys(variant, rows)}
  for (var r = 0u; r < u32(OWN); r++) {
    let row = piece * u32(OWN) + r;
    part_stats[row] = vec2f(running_max[r], running_sum[r]);
    for (var n = 0u; n < V4; n++) { parts[row * V4 + n] = acc[n * u32(OWN) + r]; }
  }
}`,
  };
}
