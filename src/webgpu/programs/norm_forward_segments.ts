// SPDX-License-Identifier: Apache-2.0
/**
 * norm_forward.ts for rows that are longer than what a workgroup keeps in registers, few of them above all: a
 * workgroup owns one segment of one row, in two programs.
 *
 * The first takes the segment's moments: the mean of h - h[0] (the row's first value, the same for all segments)
 * and the sum of its centred squares. The second merges those of the row's segments, in every workgroup alike
 * (Chan, Golub & LeVeque 1979, for all of them at once: the mean, then sum of M2 + n * (mean of segment - mean)²),
 * and writes its segment. x is read twice, and once more from cache. All sums are float32.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { NORM_LANE_SUM } from '../wgsl/norm_sums.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, tailMask } from '../wgsl/tensor.js';
import { normForwardInterface, normForwardTensors, normSink, normSource } from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';

export const SEGMENT_UNIFORMS = { segments: 'u32', segment_quads: 'u32' } as const;

/** Where the workgroup's segment is: `row`, and quads `first` … `end` - 1 of it. */
export const SEGMENT = /* wgsl */ `
  let row = group / uniforms.segments;
  let first = (group % uniforms.segments) * uniforms.segment_quads;
  let end = min((uniforms.length + 3u) / 4u, first + uniforms.segment_quads);
`;

export function normMomentsProgram(variant: NormForwardVariant, lanes: number): Program {
  const tensors = normForwardTensors(variant);
  const { x, residual } = tensors;
  const isLayer = variant.kind === 'layer';
  const { kind, aligned } = variant;
  return {
    name: 'FusedNormMoments',
    key: JSON.stringify({ kind, aligned, x: variant.x, residual: variant.residual }),
    bindings: [
      ...[x, residual]
        .filter((input) => input !== null)
        .map((input) => reads(input.name, elementOf(input))),
      writes('moments', 'vec2<f32>'),
    ],
    uniforms: { length: 'u32', ...SEGMENT_UNIFORMS },
    workgroupSize: lanes,
    code: () => /* wgsl */ `
${BF16}
${normSource(tensors)}
${tailMask(x)}
${rowSum(lanes, 'f32')}
const LANES = ${lanes}u;
${NORM_LANE_SUM}
fn run(group: u32, lane: u32) {
${SEGMENT}
  let shift = ${isLayer ? 'h_at(row, 0u).x' : '0.0'};
  let count = f32(min(4u * end, uniforms.length) - 4u * first);
  let mean = ${isLayer ? 'row_sum(lane_sum(row, first + lane, end, shift, 0.0, false), lane) / count' : '0.0'};
  let m2 = row_sum(lane_sum(row, first + lane, end, shift, mean, true), lane);
  if (lane == 0u) { moments[group] = vec2f(mean, m2); }
}`,
  };
}

export function normForwardSegmentsProgram(variant: NormForwardVariant, lanes: number): Program {
  const tensors = normForwardTensors(variant);
  const shared = normForwardInterface(variant, tensors, [reads('moments', 'vec2<f32>')]);
  return {
    ...shared,
    uniforms: { ...shared.uniforms, ...SEGMENT_UNIFORMS },
    workgroupSize: lanes,
    code: () => /* wgsl */ `
${BF16}
${normSource(tensors)}
${normSink(tensors)}
${tailMask(tensors.y)}
${rowSum(lanes, 'f32')}
const LANES = ${lanes}u;
fn values_in(segment: u32) -> f32 {
  let size = 4u * uniforms.segment_quads;
  return f32(min(size, uniforms.length - segment * size));
}
fn run(group: u32, lane: u32) {
${SEGMENT}
  let of_row = row * uniforms.segments;
  let count = f32(uniforms.length);
  var sum = 0.0;
  for (var s = lane; s < uniforms.segments; s += LANES) {
    sum += moments[of_row + s].x * values_in(s);
  }
  let mean = row_sum(sum, lane) / count;
  sum = 0.0;
  for (var s = lane; s < uniforms.segments; s += LANES) {
    let off = moments[of_row + s].x - mean;
    sum += moments[of_row + s].y + off * off * values_in(s);
  }
  let rstd = 1.0 / sqrt(row_sum(sum, lane) / count + uniforms.epsilon);
  let shift = ${variant.kind === 'layer' ? 'h_at(row, 0u).x' : '0.0'};
  for (var i = first + lane; i < end; i += LANES) {
    let h = h_at(row, i);
    put(row, i, h, (h - shift) - mean, rstd);
  }
  if (first + lane == 0u) { stats[row] = vec2f(shift + mean, rstd); }
}`,
  };
}
