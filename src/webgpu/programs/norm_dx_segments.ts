// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for rows in segments, as in norm_forward_segments.ts: a workgroup owns one segment of one row, in
 * two programs. The first writes the segment's sums of c = x - mean, g and g*c; the second adds up those
 * of the row's segments, in every workgroup alike and in one order, and writes its segment of dx. Sums are float32.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { NORM_GRAD_LANE_SUMS } from '../wgsl/norm_sums.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, tailMask } from '../wgsl/tensor.js';
import { normDxInterface, normDxSink, normDxTensors, normGradSource } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { SEGMENT, SEGMENT_UNIFORMS } from './norm_forward_segments.js';

export function normGradSumsProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  const { dy, x, gamma } = tensors;
  const { aligned } = variant;
  return {
    name: 'FusedNormGradSums',
    key: JSON.stringify({ aligned, x: variant.x, gamma: variant.gamma }),
    bindings: [
      ...[dy, x, gamma]
        .filter((input) => input !== null)
        .map((input) => reads(input.name, elementOf(input))),
      reads('stats', 'vec2<f32>'),
      writes('sums', 'vec4<f32>'),
    ],
    uniforms: { length: 'u32', weight_offset: 'f32', ...SEGMENT_UNIFORMS },
    workgroupSize: lanes,
    code: () => /* wgsl */ `
${BF16}
${normGradSource(tensors)}
${tailMask(dy)}
${rowSum(lanes, 'vec4f')}
const LANES = ${lanes}u;
${NORM_GRAD_LANE_SUMS}
fn run(group: u32, lane: u32) {
${SEGMENT}
  let sum = row_sum(lane_sums(row, first + lane, end, stats[row].x), lane);
  if (lane == 0u) { sums[group] = sum; }
}`,
  };
}

export function normDxSegmentsProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  const shared = normDxInterface(variant, tensors, [reads('sums', 'vec4<f32>')]);
  return {
    ...shared,
    uniforms: { ...shared.uniforms, ...SEGMENT_UNIFORMS },
    workgroupSize: lanes,
    code: () => /* wgsl */ `
${BF16}
${normGradSource(tensors)}
${normDxSink(tensors, variant.kind)}
${rowSum(lanes, 'vec4f')}
const LANES = ${lanes}u;
fn run(group: u32, lane: u32) {
${SEGMENT}
  var sum = vec4f(0.0);
  for (var s = lane; s < uniforms.segments; s += LANES) { sum += sums[row * uniforms.segments + s]; }
  let of_row = of_sums(row_sum(sum, lane), stats[row].y);
  let mean = stats[row].x;
  for (var i = first + lane; i < end; i += LANES) {
    put(row, i, x_at(row, i) - mean, g_at(row, i), of_row);
  }
  if (first + lane == 0u) { correction[row] = of_row.shift; }
}`,
  };
}
