// SPDX-License-Identifier: Apache-2.0
/**
 * norm_forward.ts for software adapters and rows of any length: one thread owns a row and walks it three
 * times (mean, centred squares, output), in loops. No workgroup memory; sums are float32 in two levels of 16.
 */
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { NORM_LANE_SUM } from '../wgsl/norm_sums.js';
import { tailMask } from '../wgsl/tensor.js';
import {
  normForwardInterface,
  normForwardTensors,
  normSink,
  normSource,
  normWorkgroup,
} from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';

export function normForwardThreadProgram(variant: NormForwardVariant): Program {
  const tensors = normForwardTensors(variant);
  const isLayer = variant.kind === 'layer';
  return {
    ...normForwardInterface(variant, tensors),
    workgroupSize: normWorkgroup(1),
    code: () => /* wgsl */ `
${BF16}
${normSource(tensors)}
${normSink(tensors)}
${tailMask(tensors.y)}
const LANES = 1u;
${NORM_LANE_SUM}
fn run(group: u32, lane: u32) {
  let row = group * WORKGROUP_SIZE + lane;
  if (row >= uniforms.rows) { return; }
  let quads = (uniforms.length + 3u) / 4u;
  let count = f32(uniforms.length);
  let shift = ${isLayer ? 'h_at(row, 0u).x' : '0.0'};
  let mean = ${isLayer ? 'lane_sum(row, 0u, quads, shift, 0.0, false) / count' : '0.0'};
  let variance = lane_sum(row, 0u, quads, shift, mean, true) / count;
  let rstd = 1.0 / sqrt(variance + uniforms.epsilon);
  for (var i = 0u; i < quads; i++) {
    let h = h_at(row, i);
    put(row, i, h, (h - shift) - mean, rstd);
  }
  stats[row] = vec2f(shift + mean, rstd);
}`,
  };
}
