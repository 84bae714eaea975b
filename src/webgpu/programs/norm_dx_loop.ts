// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for more quads than a thread can keep, and for software adapters, where a row has one lane: both
 * passes read the row, in loops, the second one from cache. Sums are float32 in two levels of 16.
 */
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
import { rowsProgram } from './norm_frames.js';

export function normDxLoopProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  return rowsProgram(normDxInterface(variant, tensors), {
    ...{ lanes, sums: 'vec4f', row: tensors.dx },
    functions: [normGradSource(tensors), normDxSink(tensors, variant.kind), NORM_GRAD_LANE_SUMS],
    all: /* wgsl */ `
  let mean = stats[row].x;
  let of_row = of_sums(row_sum(lane_sums(row, first, end, mean), lane), stats[row].y);`,
    own: NORM_DX_PUT_LOOP,
  });
}
