// SPDX-License-Identifier: Apache-2.0
/**
 * dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) (+ dsum), g = dy * (gamma + offset);
 * RMS norm has no mean(g) term.
 *
 * `lanes` threads own a row, as in norm_forward.ts. Two passes: one takes all row sums together, one
 * writes. The saved mean is rounded to float32, which at an offset of 1e4 is off by 5e-4; so the
 * first pass also takes mean(x - savedMean), and xhat uses the corrected one. The correction is
 * written for norm_dgamma.ts. Sums are float32 in two levels of 16.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, readerOf, tailMask, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';
import { normWorkgroup } from './norm_forward.js';

export interface NormDxVariant {
  kind: 'layer' | 'rms';
  aligned: boolean;
  x: FloatDType;
  gamma: FloatDType | null;
  dsum: boolean;
  lanes: number;
}

/** What both programs of dx share: name, key, bindings and uniforms. */
export function normDxInterface(
  variant: NormDxVariant,
  tensors: Record<'dy' | 'x' | 'dx', RowTensor> & Record<'gamma' | 'dsum', RowTensor | null>,
): Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms'> {
  const { dy, x, gamma, dsum, dx } = tensors;
  const inputs = [dy, x, gamma, dsum].filter((input) => input !== null);
  return {
    name: 'FusedNormGradDx',
    key: JSON.stringify(variant),
    bindings: [
      ...inputs.map((input) => reads(input.name, elementOf(input))),
      reads('stats', 'vec2<f32>'),
      writes('dx', elementOf(dx)),
      writes('correction', 'f32'),
    ],
    uniforms: { rows: 'u32', length: 'u32', weight_offset: 'f32' },
  };
}

export function normDxProgram(variant: NormDxVariant): Program {
  const rowsOf = (name: string, dtype: FloatDType): RowTensor => ({
    name,
    dtype,
    length: 'uniforms.length',
    aligned: variant.aligned,
  });
  const dy = rowsOf('dy', 'float32');
  const x = rowsOf('x', variant.x);
  const gamma = variant.gamma && rowsOf('gamma', variant.gamma);
  const dsum = variant.dsum ? rowsOf('dsum', 'float32') : null;
  const dx = rowsOf('dx', 'float32');
  const inputs = [dy, x, gamma, dsum].filter((input) => input !== null);
  const isLayer = variant.kind === 'layer';
  return {
    ...normDxInterface(variant, { dy, x, gamma, dsum, dx }),
    workgroupSize: normWorkgroup(variant.lanes),
    code: () => /* wgsl */ `
${BF16}
${inputs.map(readerOf).join('\n')}
${writerOf(dx)}
${tailMask(dx)}
${rowSum(variant.lanes, 'vec4f')}
const LANES = ${variant.lanes}u;
fn g_at(row: u32, i: u32) -> vec4f {
  return dy_at(row, i)${variant.gamma ? ' * (gamma_at(0u, i) + uniforms.weight_offset)' : ''};
}
// (sum c, sum g, sum g*c) with c = x - mean, over the quads of one lane.
fn lane_sums(row: u32, first: u32, quads: u32, mean: f32) -> vec4f {
  const ONES = vec4f(1.0);
  var outer = vec4f(0.0);
  var i = first;
  while (i < quads) {
    var inner = vec4f(0.0);
    for (var n = 0u; n < 16u && i < quads; n++) {
      let c = in_row(x_at(row, i) - mean, i);
      let g = in_row(g_at(row, i), i);
      inner += vec4f(dot(c, ONES), dot(g, ONES), dot(g, c), 0.0);
      i += LANES;
    }
    outer += inner;
  }
  return outer;
}
fn run(group: u32, lane: u32) {
  let wanted = group * (WORKGROUP_SIZE / LANES) + lane / LANES;
  let row = min(wanted, uniforms.rows - 1u);
  let first = lane % LANES;
  let quads = (uniforms.length + 3u) / 4u;
  let mean = stats[row].x;
  let rstd = stats[row].y;
  let sums = row_sum(lane_sums(row, first, quads, mean), lane) / f32(uniforms.length);
  let shift = ${isLayer ? 'sums.x' : '0.0'};
  let mean_g = ${isLayer ? 'sums.y' : '0.0'};
  let mean_g_xhat = (sums.z - shift * sums.y) * rstd;
  if (wanted >= uniforms.rows) { return; }
  for (var i = first; i < quads; i += LANES) {
    let xhat = ((x_at(row, i) - mean) - shift) * rstd;
    var v = (g_at(row, i) - mean_g - xhat * mean_g_xhat) * rstd;
    ${variant.dsum ? 'v += dsum_at(row, i);' : ''}
    dx_put(row, i, v);
  }
  if (first == 0u) { correction[row] = shift; }
}`,
  };
}
