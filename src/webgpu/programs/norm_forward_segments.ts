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
import { NORM_LANE_SUM } from '../wgsl/norm_sums.js';
import {
  NORM_PUT_LOOP,
  normForwardInterface,
  normForwardTensors,
  normSink,
  normSource,
  shiftOf,
} from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';
import { inputBindings, segmentsProgram } from './norm_frames.js';

export function normMomentsProgram(variant: NormForwardVariant, lanes: number): Program {
  const tensors = normForwardTensors(variant);
  const { x, residual } = tensors;
  const isLayer = variant.kind === 'layer';
  const { kind, aligned } = variant;
  const shared = {
    name: 'FusedNormMoments',
    key: JSON.stringify({ kind, aligned, x: variant.x, residual: variant.residual }),
    bindings: [...inputBindings([x, residual]), writes('moments', 'vec2<f32>')],
    uniforms: { length: 'u32' },
  } as const;
  return segmentsProgram(shared, {
    ...{ lanes, sums: 'f32', row: x },
    functions: [normSource(tensors), NORM_LANE_SUM],
    all: /* wgsl */ `
  let shift = ${shiftOf(kind)};
  let count = f32(min(4u * end, uniforms.length) - 4u * (first - lane));
  let mean = ${isLayer ? 'row_sum(lane_sum(row, first, end, shift, 0.0, false), lane) / count' : '0.0'};
  let m2 = row_sum(lane_sum(row, first, end, shift, mean, true), lane);`,
    own: '  if (lane == 0u) { moments[group] = vec2f(mean, m2); }',
  });
}

export function normForwardSegmentsProgram(variant: NormForwardVariant, lanes: number): Program {
  const tensors = normForwardTensors(variant);
  const shared = normForwardInterface(variant, tensors, [reads('moments', 'vec2<f32>')]);
  return segmentsProgram(shared, {
    ...{ lanes, sums: 'f32', row: tensors.y },
    functions: [
      normSource(tensors),
      normSink(tensors),
      /* wgsl */ `
fn values_in(segment: u32) -> f32 {
  let size = 4u * uniforms.segment_quads;
  return f32(min(size, uniforms.length - segment * size));
}`,
    ],
    all: /* wgsl */ `
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
  let shift = ${shiftOf(variant.kind)};`,
    own: NORM_PUT_LOOP,
  });
}
