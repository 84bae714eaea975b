// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for rows in segments, as in norm_forward_segments.ts: a workgroup owns one segment of one row, in
 * two programs. The first writes the segment's sums of c = x - mean, g and g*c; the second adds up those
 * of the row's segments, in every workgroup alike and in one order, and writes its segment of dx. Sums are float32.
 */
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { NORM_GRAD_LANE_SUMS } from '../wgsl/norm_sums.js';
import {
  NORM_DX_PUT_LOOP,
  normDxInterface,
  normDxSink,
  normDxTensors,
  normGradSource,
} from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { inputBindings, segmentsProgram } from './norm_frames.js';

export function normGradSumsProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  const { dy, x, gamma } = tensors;
  const { aligned } = variant;
  const shared = {
    name: 'FusedNormGradSums',
    key: JSON.stringify({ aligned, x: variant.x, gamma: variant.gamma }),
    bindings: [
      ...inputBindings([dy, x, gamma]),
      reads('stats', 'vec2<f32>'),
      writes('sums', 'vec4<f32>'),
    ],
    uniforms: { length: 'u32', weight_offset: 'f32' },
  } as const;
  return segmentsProgram(shared, {
    ...{ lanes, sums: 'vec4f', row: dy },
    functions: [normGradSource(tensors), NORM_GRAD_LANE_SUMS],
    all: '  let sum = row_sum(lane_sums(row, first, end, stats[row].x), lane);',
    own: '  if (lane == 0u) { sums[group] = sum; }',
  });
}

export function normDxSegmentsProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  const shared = normDxInterface(variant, tensors, [reads('sums', 'vec4<f32>')]);
  return segmentsProgram(shared, {
    ...{ lanes, sums: 'vec4f', row: tensors.dx },
    functions: [normGradSource(tensors), normDxSink(tensors, variant.kind)],
    all: /* wgsl */ `
  var sum = vec4f(0.0);
  for (var s = lane; s < uniforms.segments; s += LANES) { sum += sums[row * uniforms.segments + s]; }
  let of_row = of_sums(row_sum(sum, lane), stats[row].y);
  let mean = stats[row].x;`,
    own: NORM_DX_PUT_LOOP,
  });
}
