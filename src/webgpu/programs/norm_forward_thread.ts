// SPDX-License-Identifier: Apache-2.0
/**
 * norm_forward.ts for software adapters and rows of any length: one thread owns a row and walks it three
 * times (mean, centred squares, output), in loops. No workgroup memory; sums are float32 in two levels of 16.
 */
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
import { rowsProgram } from './norm_frames.js';

export function normForwardThreadProgram(variant: NormForwardVariant): Program {
  const tensors = normForwardTensors(variant);
  const isLayer = variant.kind === 'layer';
  return rowsProgram(normForwardInterface(variant, tensors), {
    ...{ lanes: 1, sums: 'f32', row: tensors.y },
    functions: [normSource(tensors), normSink(tensors), NORM_LANE_SUM],
    all: /* wgsl */ `
  let count = f32(uniforms.length);
  let shift = ${shiftOf(variant.kind)};
  let mean = ${isLayer ? 'lane_sum(row, first, end, shift, 0.0, false) / count' : '0.0'};
  let variance = lane_sum(row, first, end, shift, mean, true) / count;
  let rstd = 1.0 / sqrt(variance + uniforms.epsilon);`,
    own: NORM_PUT_LOOP,
  });
}
