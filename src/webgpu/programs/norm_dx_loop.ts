// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for more quads than a thread can keep, and for software adapters, where a row has one lane: both
 * passes read the row, in loops, the second one from cache. Sums are float32 in two levels of 16.
 */
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { NORM_GRAD_LANE_SUMS } from '../wgsl/norm_sums.js';
import { rowSum } from '../wgsl/row_sum.js';
import { tailMask } from '../wgsl/tensor.js';
import { normDxInterface, normDxSink, normDxTensors, normGradSource } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { normWorkgroup } from './norm_forward.js';

export function normDxLoopProgram(variant: NormDxVariant, lanes: number): Program {
  const tensors = normDxTensors(variant);
  return {
    ...normDxInterface(variant, tensors),
    workgroupSize: normWorkgroup(lanes),
    code: () => /* wgsl */ `
${BF16}
${normGradSource(tensors)}
${normDxSink(tensors, variant.kind)}
${tailMask(tensors.dx)}
${rowSum(lanes, 'vec4f')}
const LANES = ${lanes}u;
${NORM_GRAD_LANE_SUMS}
fn run(group: u32, lane: u32) {
  let wanted = group * (WORKGROUP_SIZE / LANES) + lane / LANES;
  let row = min(wanted, uniforms.rows - 1u);
  let first = lane % LANES;
  let quads = (uniforms.length + 3u) / 4u;
  let mean = stats[row].x;
  let of_row = of_sums(row_sum(lane_sums(row, first, quads, mean), lane), stats[row].y);
  if (wanted >= uniforms.rows) { return; }
  for (var i = first; i < quads; i += LANES) {
    put(row, i, x_at(row, i) - mean, g_at(row, i), of_row);
  }
  if (first == 0u) { correction[row] = of_row.shift; }
}`,
  };
}
