// SPDX-License-Identifier: Apache-2.0
/**
 * y = (h - mean) * rstd * (gamma + offset) + beta, h = x (+ residual), rstd = 1/sqrt(var + epsilon);
 * RMS norm is the same with mean = 0. Statistics and output in one kernel.
 *
 * `lanes` threads own a row, `quads` quads of it each, in registers: the row is read once. A workgroup owns
 * workgroupSize / lanes rows. Sums of the row: first its mean, then the centred squares, so that the variance
 * is never E[h²] - E[h]². The mean is taken of h - h[0], which is exact for values near each other, so that rows
 * with a large offset lose nothing. Sums are float32; a bfloat16 output is rounded once.
 * Workgroup memory: two floats a thread at most, where a row has more than one thread.
 */
import type { FloatDType } from '../../spec/dtype.js';
import type { NormTile } from '../norm_tile.js';
import { writes } from '../program.js';
import type { Binding, Program } from '../program.js';
import { unroll } from '../wgsl/direct.js';
import { elementOf, readerOf, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';
import { inputBindings, rowsProgram } from './norm_frames.js';

export interface NormForwardVariant {
  kind: 'layer' | 'rms';
  aligned: boolean;
  x: FloatDType;
  residual: FloatDType | null;
  gamma: FloatDType | null;
  beta: FloatDType | null;
  output: FloatDType;
  tile: NormTile;
}

type ForwardTensors = Record<'x' | 'y' | 'sum', RowTensor> &
  Record<'residual' | 'gamma' | 'beta', RowTensor | null>;

/**
 * What the programs that write the output share: name, key, bindings and uniforms.
 * @param before bindings between the inputs and the outputs.
 */
export function normForwardInterface(
  variant: NormForwardVariant,
  { x, residual, gamma, beta, y, sum }: ForwardTensors,
  before: Binding[] = [],
): Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms'> {
  const bindings: Binding[] = [
    ...inputBindings([x, residual, gamma, beta]),
    ...before,
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

/** The tensors, with rows of any length. */
export function normForwardTensors(variant: NormForwardVariant): ForwardTensors {
  const rowsOf = (name: string, dtype: FloatDType): RowTensor => ({
    name,
    dtype,
    length: 'uniforms.length',
    aligned: variant.aligned,
  });
  return {
    x: rowsOf('x', variant.x),
    residual: variant.residual && rowsOf('residual', variant.residual),
    gamma: variant.gamma && rowsOf('gamma', variant.gamma),
    beta: variant.beta && rowsOf('beta', variant.beta),
    y: rowsOf('y', variant.output),
    sum: rowsOf('sum', 'float32'),
  };
}

/** `h_at(row, i)`: the quad that is normed. */
export function normSource({ x, residual }: ForwardTensors): string {
  return /* wgsl */ `
${readerOf(x)}
${residual ? readerOf(residual) : ''}
fn h_at(row: u32, i: u32) -> vec4f { return x_at(row, i)${residual ? ' + residual_at(row, i)' : ''}; }`;
}

/** `put(row, i, h, centred, rstd)` writes a quad of the output, and of the sum. Needs tailMask's in_row. */
export function normSink({ gamma, beta, residual, y, sum }: ForwardTensors): string {
  return /* wgsl */ `
${gamma ? readerOf(gamma) : ''}
${beta ? readerOf(beta) : ''}
${writerOf(y)}
${residual ? writerOf(sum) : ''}
fn put(row: u32, i: u32, h: vec4f, centred: vec4f, rstd: f32) {
  var v = centred * rstd;
  ${gamma ? 'v *= gamma_at(0u, i) + uniforms.weight_offset;' : ''}
  ${beta ? 'v += beta_at(0u, i);' : ''}
  y_put(row, i, in_row(v, i));
  ${residual ? 'sum_put(row, i, h);' : ''}
}`;
}

/** Statements that write a thread's quads again from h, and the row's statistics. */
export const NORM_PUT_LOOP = /* wgsl */ `
  for (var i = first; i < end; i += LANES) {
    let h = h_at(row, i);
    put(row, i, h, (h - shift) - mean, rstd);
  }
  if (first == 0u) { stats[row] = vec2f(shift + mean, rstd); }`;

/** The value that a row's are taken from: its first. */
export const shiftOf = (kind: 'layer' | 'rms') => (kind === 'layer' ? 'h_at(row, 0u).x' : '0.0');

export function normForwardProgram(
  variant: NormForwardVariant,
  lanes: number,
  quads: number,
): Program {
  const tensors = normForwardTensors(variant);
  const isLayer = variant.kind === 'layer';
  const total = (value: (n: number) => string) =>
    `row_sum(dot(${unroll(quads, value, ' + ')}, vec4f(1.0)), lane)`;
  return rowsProgram(normForwardInterface(variant, tensors), {
    ...{ lanes, sums: 'f32', row: { length: 'uniforms.length', aligned: false } },
    functions: [normSource(tensors), normSink(tensors)],
    all: /* wgsl */ `
  let count = f32(uniforms.length);
${unroll(
  quads,
  (n) => /* wgsl */ `
  let i${n} = first + ${n}u * LANES;
  var h${n} = vec4f(0.0);
  if (i${n} < end) { h${n} = h_at(row, i${n}); }`,
)}
  let shift = ${shiftOf(variant.kind)};
${unroll(quads, (n) => `  let s${n} = in_row(h${n} - shift, i${n});`)}
  let mean = ${isLayer ? `${total((n) => `s${n}`)} / count` : '0.0'};
${unroll(quads, (n) => `  let c${n} = in_row(s${n} - mean, i${n});`)}
  let variance = ${total((n) => `c${n} * c${n}`)} / count;
  let rstd = 1.0 / sqrt(variance + uniforms.epsilon);`,
    own: /* wgsl */ `
${unroll(quads, (n) => `  if (i${n} < end) { put(row, i${n}, h${n}, c${n}, rstd); }`)}
  if (first == 0u) { stats[row] = vec2f(shift + mean, rstd); }`,
  });
}
