// SPDX-License-Identifier: Apache-2.0
/**
 * norm_forward.ts for software adapters and rows of whole blocks of 16 values: one thread owns two
 * rows, so that gamma and beta are read once for both; the values of more do not fit into registers. Reads are what
 * costs there, and one of a block of 16 costs half as much as four of a quad (see wgsl/direct.ts): x is read
 * twice, not three times.
 *
 * Pass 1 takes mean and M2 = sum of (h - mean)^2: of each block by itself, centred, from registers,
 * then merged into those of the blocks before it (Chan, Golub & LeVeque 1979). RMS norm takes the
 * plain squares. Pass 2 writes. No workgroup memory; all sums are float32.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { NORM_BLOCK } from '../norm_tile.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { unroll } from '../wgsl/direct.js';
import { blockRows, handleQuad, rowHandle, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';
import { normForwardInterface } from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';

const QUADS = NORM_BLOCK / 4;
/** Rows of one thread. */
const NORM_ROWS = 2;
export const NORM_DIRECT_WORKGROUP = 4;
/** Rows of one workgroup. */
export const FORWARD_DIRECT_ROWS = NORM_ROWS * NORM_DIRECT_WORKGROUP;

/** Declares gamma_0 to gamma_3, with their offset: the quads of block b. */
export function gammaQuads(gamma: RowTensor): string {
  const quad = (n: number) => handleQuad(gamma, 'gamma_block', `${n}`);
  return `${rowHandle(gamma, 'gamma_block', 'b')}
${unroll(QUADS, (n) => `let gamma_${n} = ${quad(n)} + uniforms.weight_offset;`)}`;
}

export function normForwardDirectProgram(variant: NormForwardVariant): Program {
  const blocks = (name: string, dtype: FloatDType) => blockRows(name, dtype, QUADS);
  const x = blocks('x', variant.x);
  const residual = variant.residual && blocks('residual', variant.residual);
  const gamma = variant.gamma && blocks('gamma', variant.gamma);
  const beta = variant.beta && blocks('beta', variant.beta);
  const y = blocks('y', variant.output);
  const sum = blocks('sum', 'float32');

  /** Declares h<r>_0 … h<r>_3: the block of row r. */
  const load = (r: number) => /* wgsl */ `
    ${rowHandle(x, `x${r}`, `row${r} * blocks + b`)}
    ${residual ? rowHandle(residual, `residual${r}`, `row${r} * blocks + b`) : ''}
    ${unroll(QUADS, (n) => `let h${r}_${n} = ${handleQuad(x, `x${r}`, `${n}`)}${residual ? ` + ${handleQuad(residual, `residual${r}`, `${n}`)}` : ''};`)}`;
  const squares = (of: (n: number) => string) =>
    unroll(QUADS, (n) => `dot(${of(n)}, ${of(n)})`, ' + ');
  const merge = (r: number) =>
    variant.kind === 'rms'
      ? `m2_${r} += ${squares((n) => `h${r}_${n}`)};`
      : /* wgsl */ `
    let own${r} = dot(${unroll(QUADS, (n) => `h${r}_${n}`, ' + ')}, vec4f(1.0 / ${NORM_BLOCK}.0));
    ${unroll(QUADS, (n) => `let c${r}_${n} = h${r}_${n} - own${r};`, ' ')}
    let step${r} = own${r} - mean${r};
    mean${r} += step${r} * share;
    m2_${r} += ${squares((n) => `c${r}_${n}`)} + step${r} * step${r} * (share * ${NORM_BLOCK}.0 * f32(b));`;
  const write = (r: number) =>
    unroll(
      QUADS,
      (n) => /* wgsl */ `
      { var v = (h${r}_${n} - mean${r}) * rstd${r};
        ${gamma ? `v *= gamma_${n};` : ''} ${beta ? `v += ${handleQuad(beta, 'beta_block', `${n}`)};` : ''}
        y_put(row${r} * blocks + b, ${n}u, v); }
      ${residual ? `sum_put(row${r} * blocks + b, ${n}u, h${r}_${n});` : ''}`,
    );
  return {
    ...normForwardInterface(variant, { x, residual, gamma, beta, y, sum }),
    workgroupSize: NORM_DIRECT_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${writerOf(y)}
${residual ? writerOf(sum) : ''}
fn run(group: u32, lane: u32) {
  let first = (group * WORKGROUP_SIZE + lane) * ${NORM_ROWS}u;
  if (first >= uniforms.rows) { return; }
  let blocks = uniforms.length / ${NORM_BLOCK}u;
  let count = f32(uniforms.length);
  // Where rows are missing the last thread does the last row again.
${unroll(NORM_ROWS, (r) => `  let row${r} = min(first + ${r}u, uniforms.rows - 1u); var mean${r} = 0.0; var m2_${r} = 0.0;`)}
  for (var b = 0u; b < blocks; b++) {
    let share = 1.0 / f32(b + 1u);
${unroll(NORM_ROWS, (r) => load(r) + merge(r))}
  }
${unroll(NORM_ROWS, (r) => `  let rstd${r} = 1.0 / sqrt(m2_${r} / count + uniforms.epsilon);`)}
  for (var b = 0u; b < blocks; b++) {
    ${gamma ? gammaQuads(gamma) : ''}
    ${beta ? rowHandle(beta, 'beta_block', 'b') : ''}
${unroll(NORM_ROWS, (r) => load(r) + write(r))}
  }
${unroll(NORM_ROWS, (r) => `  stats[row${r}] = vec2f(mean${r}, rstd${r});`)}
}`,
  };
}
