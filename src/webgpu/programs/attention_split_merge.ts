// SPDX-License-Identifier: Apache-2.0
/**
 * Merges what the spans of keys have left of a row (see wgsl/split.ts), in their order:
 *
 *   top = max_s maximum_s     share_s = 2^(maximum_s - top)     total = sum_s share_s * sum_s
 *   output = sum_s share_s * parts_s / total                    logSumExp = (top + log2 total) / log2 e
 *
 * A thread owns a quad of the output and every `slices`-th span. With one slice it needs nobody else,
 * as suits software adapters; else a workgroup owns a row, and slices are added up in its memory, a
 * vector a thread. Spans in which a row sees no key left nothing and are not read. One pass; float32.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { ATTENTION_UNIFORMS, OUTPUT_ROWS } from '../wgsl/attention.js';
import { BF16 } from '../wgsl/bf16.js';
import type { MaskLayout } from '../wgsl/mask.js';
import { SPLIT_UNIFORMS, splitMask } from '../wgsl/split.js';
import { elementOf, fixedRows, quadsOf, writerOf } from '../wgsl/tensor.js';
import { endRow } from './attention_passes.js';

export interface SplitMergeVariant {
  v: number;
  output: FloatDType;
  sink: boolean;
  layout: MaskLayout;
  /** Rows of a piece of work. */
  rows: number;
  slices: number;
}

/** Threads of a workgroup whose threads work alone. */
const ALONE = 4;

/** Workgroups for `rows` rows, those past the end of blocks included. */
export function mergeGroups({ v, slices }: SplitMergeVariant, rows: number): number {
  return slices > 1 ? rows : Math.ceil((rows * quadsOf(v)) / ALONE);
}

export function attentionSplitMergeProgram(variant: SplitMergeVariant): Program {
  const { v, output, sink, layout, rows, slices } = variant;
  const o = fixedRows('o', output, v);
  const quads = quadsOf(v);
  const alone = slices === 1;
  return {
    name: 'MemoryEfficientAttentionMerge',
    key: JSON.stringify(variant),
    bindings: [
      reads('parts', 'vec4<f32>'),
      reads('part_stats', 'vec2<f32>'),
      ...(layout === 'dense' ? [] : [reads('meta_data', 'i32')]),
      ...(sink ? [reads('sink', 'f32')] : []),
      writes('o', elementOf(o)),
      writes('lse', 'u32'),
    ],
    uniforms: { ...ATTENTION_UNIFORMS, ...SPLIT_UNIFORMS, merged_rows: 'u32' },
    workgroupSize: alone ? ALONE : quads * slices,
    code: () => /* wgsl */ `
const V4 = ${quads}u;
const SLICES = ${slices}u;
const LOG2E = 1.4426950408889634;
const LN2 = 0.6931471805599453;
const HIDDEN = -3.0e38;
${BF16}
${splitMask(layout, rows)}
${OUTPUT_ROWS}
${writerOf(o)}
${endRow(sink)}
${alone ? '' : 'var<workgroup> slices: array<vec4f, WORKGROUP_SIZE>;'}
fn run(group: u32, lane: u32) {
  let at = ${alone ? 'group * WORKGROUP_SIZE + lane' : 'lane'};
  let quad = at % V4;
  let row = ${alone ? 'at / V4' : 'group'};
  if (row >= uniforms.merged_rows) { return; }
  let work = locate(row / u32(ROWS));
  let r = row % u32(ROWS);
  if (work.first + i32(r) > last_row(work)) { return; }
  // The parts of the row: one for each span of its piece of work.
  let first = row / u32(ROWS) * uniforms.splits * u32(ROWS) + r;
  var top = HIDDEN;
  for (var s = 0u; s < uniforms.splits; s++) { top = max(top, part_stats[first + s * u32(ROWS)].x); }
  var total = 0.0;
  var sum = vec4f(0.0);
  for (var s = 0u; s < uniforms.splits; s++) {
    let part = first + s * u32(ROWS);
    let stats = part_stats[part];
    if (bitcast<u32>(stats.y) == 0u) { continue; }
    let share = exp2(stats.x - top);
    total += share * stats.y;
    ${alone ? '' : 'if (s % SLICES != lane / V4) { continue; }'}
    sum += share * parts[part * V4 + quad];
  }
${
  alone
    ? ''
    : /* wgsl */ `
  slices[lane] = sum;
  workgroupBarrier();
  if (lane >= V4) { return; }
  for (var n = 1u; n < SLICES; n++) { sum += slices[n * V4 + lane]; }`
}
  let head = head_of(work, i32(r));
  let i = query_of(work, i32(r));
  let end = end_row(head, top, total);
  o_put(o_row(work, head, i), quad, end_value(sum, end));
  if (quad == 0u) { lse[stats_row(work, head, i)] = end.lse_bits; }
}`,
  };
}
