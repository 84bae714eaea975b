// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for software adapters and rows of whole blocks of 16 values: one thread owns a row, and reads
 * blocks, as in norm_forward_direct.ts; the values of two rows do not fit into registers. The same two passes: one
 * takes the row sums of c = x - mean, g and g*c, one writes. No workgroup memory; sums are float32, first those of a
 * block.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { NORM_BLOCK } from '../norm_tile.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { unroll } from '../wgsl/direct.js';
import { blockRows, handleQuad, rowHandle, writerOf } from '../wgsl/tensor.js';
import { normDxInterface } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { gammaQuads, NORM_DIRECT_WORKGROUP } from './norm_forward_direct.js';

const QUADS = NORM_BLOCK / 4;
/** Rows of one workgroup: one of each thread. */
export const DX_DIRECT_ROWS = NORM_DIRECT_WORKGROUP;

export function normDxDirectProgram(variant: NormDxVariant): Program {
  const blocks = (name: string, dtype: FloatDType) => blockRows(name, dtype, QUADS);
  const dy = blocks('dy', 'float32');
  const x = blocks('x', variant.x);
  const gamma = variant.gamma && blocks('gamma', variant.gamma);
  const dsum = variant.dsum ? blocks('dsum', 'float32') : null;
  const dx = blocks('dx', 'float32');
  const isLayer = variant.kind === 'layer';

  const loadGamma = gamma ? gammaQuads(gamma) : '';
  /** Declares c_n and g_n: x - mean and dy * gamma of block b. */
  const load = /* wgsl */ `
    ${loadGamma}
    ${rowHandle(x, 'x_block', 'row * blocks + b')}
    ${rowHandle(dy, 'dy_block', 'row * blocks + b')}
    ${unroll(QUADS, (n) => `let c_${n} = ${handleQuad(x, 'x_block', `${n}`)} - mean;`)}
    ${unroll(QUADS, (n) => `let g_${n} = ${handleQuad(dy, 'dy_block', `${n}`)}${gamma ? ` * gamma_${n}` : ''};`)}`;
  const write = /* wgsl */ `
    ${dsum ? rowHandle(dsum, 'dsum_block', 'row * blocks + b') : ''}
    ${unroll(
      QUADS,
      (n) => /* wgsl */ `
    { let xhat = (c_${n} - shift) * rstd;
      let v = (g_${n} - mean_g - xhat * mean_g_xhat) * rstd${dsum ? ` + ${handleQuad(dsum, 'dsum_block', `${n}`)}` : ''};
      dx_put(row * blocks + b, ${n}u, v); }`,
    )}`;
  return {
    ...normDxInterface(variant, { dy, x, gamma, dsum, dx }),
    workgroupSize: NORM_DIRECT_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${writerOf(dx)}
fn run(group: u32, lane: u32) {
  const ONES = vec4f(1.0);
  let row = group * WORKGROUP_SIZE + lane;
  if (row >= uniforms.rows) { return; }
  let blocks = uniforms.length / ${NORM_BLOCK}u;
  let count = f32(uniforms.length);
  let mean = stats[row].x;
  let rstd = stats[row].y;
  var sums = vec3f(0.0);
  for (var b = 0u; b < blocks; b++) {
    ${load}
    sums += vec3f(dot(${unroll(QUADS, (n) => `c_${n}`, ' + ')}, ONES),
                  dot(${unroll(QUADS, (n) => `g_${n}`, ' + ')}, ONES),
                  ${unroll(QUADS, (n) => `dot(g_${n}, c_${n})`, ' + ')});
  }
  let shift = ${isLayer ? 'sums.x / count' : '0.0'};
  let mean_g = ${isLayer ? 'sums.y / count' : '0.0'};
  let mean_g_xhat = (sums.z - shift * sums.y) * rstd / count;
  for (var b = 0u; b < blocks; b++) {
    ${load}
    ${write}
  }
  correction[row] = shift;
}`,
  };
}
