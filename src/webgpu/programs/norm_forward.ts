// SPDX-License-Identifier: Apache-2.0
/**
 * y = (h - mean) * rstd * (gamma + offset) + beta, h = x (+ residual), rstd = 1/sqrt(var + epsilon);
 * RMS norm is the same with mean = 0. Statistics and output in one kernel.
 *
 * `lanes` threads own a row; a workgroup owns workgroupSize / lanes rows. Three passes over the row
 * (mean, centred squares, output), the later ones from cache: the variance is never E[h²] - E[h]².
 * The mean is taken of h - h[0], which is exact for values near each other, so that rows with a
 * large offset lose nothing. Sums are float32 in two levels of 16; a bfloat16 output is rounded once.
 * Workgroup memory: one float a thread, where a row has more than one.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Binding, Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, readerOf, tailMask, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';

export interface NormForwardVariant {
  kind: 'layer' | 'rms';
  aligned: boolean;
  x: FloatDType;
  residual: FloatDType | null;
  gamma: FloatDType | null;
  beta: FloatDType | null;
  output: FloatDType;
  lanes: number;
}

const WORKGROUP = 64;

/** Rows that one workgroup owns. */
export function normRowsPerGroup(lanes: number): number {
  return normWorkgroup(lanes) / lanes;
}

export function normWorkgroup(lanes: number): number {
  return Math.max(WORKGROUP, lanes);
}

/** What the programs of the forward pass share: name, key, bindings and uniforms. */
export function normForwardInterface(
  variant: NormForwardVariant,
  tensors: Record<'x' | 'y' | 'sum', RowTensor> &
    Record<'residual' | 'gamma' | 'beta', RowTensor | null>,
): Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms'> {
  const { x, residual, gamma, beta, y, sum } = tensors;
  const inputs = [x, residual, gamma, beta].filter((input) => input !== null);
  const bindings: Binding[] = [
    ...inputs.map((input) => reads(input.name, elementOf(input))),
    writes('y', elementOf(y)),
    writes('stats', 'vec2<f32>'),
    ...(residual ? [writes('sum', elementOf(sum))] : []),
  ];
  return {
    name: 'FusedNorm',
    key: JSON.stringify(variant),
    bindings,
    uniforms: { rows: 'u32', length: 'u32', epsilon: 'f32', weight_offset: 'f32' },
  };
}

export function normForwardProgram(variant: NormForwardVariant): Program {
  const rowsOf = (name: string, dtype: FloatDType): RowTensor => ({
    name,
    dtype,
    length: 'uniforms.length',
    aligned: variant.aligned,
  });
  const x = rowsOf('x', variant.x);
  const residual = variant.residual && rowsOf('residual', variant.residual);
  const gamma = variant.gamma && rowsOf('gamma', variant.gamma);
  const beta = variant.beta && rowsOf('beta', variant.beta);
  const y = rowsOf('y', variant.output);
  const sum = rowsOf('sum', 'float32');
  const inputs = [x, residual, gamma, beta].filter((input) => input !== null);
  const hasSum = residual !== null;
  return {
    ...normForwardInterface(variant, { x, residual, gamma, beta, y, sum }),
    workgroupSize: normWorkgroup(variant.lanes),
    code: () => /* wgsl */ `
${BF16}
${inputs.map(readerOf).join('\n')}
${writerOf(y)}
${hasSum ? writerOf(sum) : ''}
${tailMask(y)}
${rowSum(variant.lanes, 'f32')}
const LANES = ${variant.lanes}u;
fn h_at(row: u32, i: u32) -> vec4f { return x_at(row, i)${hasSum ? ' + residual_at(row, i)' : ''}; }
fn affine(centred: vec4f, rstd: f32, i: u32) -> vec4f {
  var v = centred * rstd;
  ${variant.gamma ? 'v *= gamma_at(0u, i) + uniforms.weight_offset;' : ''}
  ${variant.beta ? 'v += beta_at(0u, i);' : ''}
  return v;
}
// Sum of (h - shift) or of (h - shift - mean)^2 over the quads of one lane.
fn lane_sum(row: u32, first: u32, quads: u32, shift: f32, mean: f32, squared: bool) -> f32 {
  var outer = vec4f(0.0);
  var i = first;
  while (i < quads) {
    var inner = vec4f(0.0);
    for (var n = 0u; n < 16u && i < quads; n++) {
      let v = in_row((h_at(row, i) - shift) - mean, i);
      inner += select(v, v * v, squared);
      i += LANES;
    }
    outer += inner;
  }
  return dot(outer, vec4f(1.0));
}
fn run(group: u32, lane: u32) {
  let wanted = group * (WORKGROUP_SIZE / LANES) + lane / LANES;
  let row = min(wanted, uniforms.rows - 1u);
  let first = lane % LANES;
  let quads = (uniforms.length + 3u) / 4u;
  let count = f32(uniforms.length);
${
  variant.kind === 'layer'
    ? `  let shift = h_at(row, 0u).x;
  let mean = row_sum(lane_sum(row, first, quads, shift, 0.0, false), lane) / count;`
    : `  let shift = 0.0;
  let mean = 0.0;`
}
  let variance = row_sum(lane_sum(row, first, quads, shift, mean, true), lane) / count;
  let rstd = 1.0 / sqrt(variance + uniforms.epsilon);
  if (wanted >= uniforms.rows) { return; }
  for (var i = first; i < quads; i += LANES) {
    let h = h_at(row, i);
    y_put(row, i, in_row(affine((h - shift) - mean, rstd, i), i));
    ${hasSum ? 'sum_put(row, i, h);' : ''}
  }
  if (first == 0u) { stats[row] = vec2f(shift + mean, rstd); }
}`,
  };
}
