// SPDX-License-Identifier: Apache-2.0
/**
 * dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) (+ dsum), g = dy * (gamma + offset);
 * RMS norm has no mean(g) term.
 *
 * `lanes` threads own a row, `quads` quads of x and of g in the registers of each, as in norm_forward.ts. One
 * pass takes all row sums together, one writes. The saved mean is rounded to float32, which at an offset
 * of 1e4 is off by 5e-4; so the first pass also takes mean(x - savedMean), and xhat uses the corrected one. The
 * correction is written for norm_dgamma.ts. Sums are float32.
 */
import type { FloatDType } from '../../spec/dtype.js';
import type { NormTile } from '../norm_tile.js';
import { reads, writes } from '../program.js';
import type { Binding, Program } from '../program.js';
import { unroll } from '../wgsl/direct.js';
import { elementOf, readerOf, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';
import { inputBindings, rowsProgram } from './norm_frames.js';

export interface NormDxVariant {
  kind: 'layer' | 'rms';
  aligned: boolean;
  x: FloatDType;
  gamma: FloatDType | null;
  dsum: boolean;
  tile: NormTile;
}

type DxTensors = Record<'dy' | 'x' | 'dx', RowTensor> & Record<'gamma' | 'dsum', RowTensor | null>;

/**
 * What the programs that write dx share: name, key, bindings and uniforms.
 * @param before bindings between the inputs and the outputs.
 */
export function normDxInterface(
  variant: NormDxVariant,
  { dy, x, gamma, dsum, dx }: DxTensors,
  before: Binding[] = [],
): Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms'> {
  return {
    name: 'FusedNormGradDx',
    key: JSON.stringify(variant),
    bindings: [
      ...inputBindings([dy, x, gamma, dsum]),
      reads('stats', 'vec2<f32>'),
      ...before,
      writes('dx', elementOf(dx)),
      writes('correction', 'f32'),
    ],
    uniforms: { rows: 'u32', length: 'u32', weight_offset: 'f32' },
  };
}

/** The tensors, with rows of any length. */
export function normDxTensors(variant: NormDxVariant): DxTensors {
  const rowsOf = (name: string, dtype: FloatDType): RowTensor => ({
    name,
    dtype,
    length: 'uniforms.length',
    aligned: variant.aligned,
  });
  return {
    dy: rowsOf('dy', 'float32'),
    x: rowsOf('x', variant.x),
    gamma: variant.gamma && rowsOf('gamma', variant.gamma),
    dsum: variant.dsum ? rowsOf('dsum', 'float32') : null,
    dx: rowsOf('dx', 'float32'),
  };
}

/** `x_at(row, i)` and `g_at(row, i)`. */
export function normGradSource({ dy, x, gamma }: DxTensors): string {
  return /* wgsl */ `
${readerOf(dy)}
${readerOf(x)}
${gamma ? readerOf(gamma) : ''}
fn g_at(row: u32, i: u32) -> vec4f {
  return dy_at(row, i)${gamma ? ' * (gamma_at(0u, i) + uniforms.weight_offset)' : ''};
}`;
}

/** `put(row, i, c, g, of_row)` writes a quad of dx; `of_sums` makes `of_row` of the row's sums. */
export function normDxSink({ dsum, dx }: DxTensors, kind: 'layer' | 'rms'): string {
  const isLayer = kind === 'layer';
  return /* wgsl */ `
${dsum ? readerOf(dsum) : ''}
${writerOf(dx)}
struct OfRow { shift: f32, mean_g: f32, mean_g_xhat: f32, rstd: f32 }
// sums: of c = x - mean, g and g*c.
fn of_sums(sums: vec4f, rstd: f32) -> OfRow {
  let means = sums / f32(uniforms.length);
  let shift = ${isLayer ? 'means.x' : '0.0'};
  return OfRow(shift, ${isLayer ? 'means.y' : '0.0'}, (means.z - shift * means.y) * rstd, rstd);
}
fn put(row: u32, i: u32, c: vec4f, g: vec4f, of_row: OfRow) {
  let xhat = (c - of_row.shift) * of_row.rstd;
  var v = (g - of_row.mean_g - xhat * of_row.mean_g_xhat) * of_row.rstd;
  ${dsum ? 'v += dsum_at(row, i);' : ''}
  dx_put(row, i, v);
}`;
}

/** Quads of two tensors that a thread can keep. */
export const MOST_DX_QUADS = 4;

/** Statement that writes the correction of a row whose quads have been written. */
const CORRECTION = 'if (first == 0u) { correction[row] = of_row.shift; }';

/** Statements that write a thread's quads from x and dy, read again. */
export const NORM_DX_PUT_LOOP = /* wgsl */ `
  for (var i = first; i < end; i += LANES) {
    put(row, i, x_at(row, i) - mean, g_at(row, i), of_row);
  }
  ${CORRECTION}`;

export function normDxProgram(variant: NormDxVariant, lanes: number, quads: number): Program {
  const tensors = normDxTensors(variant);
  return rowsProgram(normDxInterface(variant, tensors), {
    ...{ lanes, sums: 'vec4f', row: { length: 'uniforms.length', aligned: false } },
    functions: [normGradSource(tensors), normDxSink(tensors, variant.kind)],
    all: /* wgsl */ `
  const ONES = vec4f(1.0);
  let mean = stats[row].x;
  var sums = vec4f(0.0);
${unroll(
  quads,
  (n) => /* wgsl */ `
  let i${n} = first + ${n}u * LANES;
  var c${n} = vec4f(0.0);
  var g${n} = vec4f(0.0);
  if (i${n} < end) {
    c${n} = in_row(x_at(row, i${n}) - mean, i${n});
    g${n} = in_row(g_at(row, i${n}), i${n});
  }
  sums += vec4f(dot(c${n}, ONES), dot(g${n}, ONES), dot(g${n}, c${n}), 0.0);`,
)}
  let of_row = of_sums(row_sum(sums, lane), stats[row].y);`,
    own: /* wgsl */ `
${unroll(quads, (n) => `  if (i${n} < end) { put(row, i${n}, c${n}, g${n}, of_row); }`)}
  ${CORRECTION}`,
  });
}
