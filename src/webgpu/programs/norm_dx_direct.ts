// SPDX-License-Identifier: Apache-2.0
/**
 * norm_dx.ts for software adapters and rows of whole blocks of 16 values: one thread owns four rows,
 * and reads blocks, as in norm_forward_direct.ts. The same two passes: one takes the row sums of
 * c = x - mean, g and g*c, one writes. No workgroup memory; sums are float32, first those of a block.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { NORM_BLOCK } from '../norm_tile.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { unroll } from '../wgsl/direct.js';
import { blockRows, handleQuad, rowHandle, writerOf } from '../wgsl/tensor.js';
import { normDxInterface } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { gammaQuads, NORM_DIRECT_WORKGROUP, NORM_ROWS } from './norm_forward_direct.js';

const QUADS = NORM_BLOCK / 4;

export function normDxDirectProgram(variant: NormDxVariant): Program {
  const blocks = (name: string, dtype: FloatDType) => blockRows(name, dtype, QUADS);
  const dy = blocks('dy', 'float32');
  const x = blocks('x', variant.x);
  const gamma = variant.gamma && blocks('gamma', variant.gamma);
  const dsum = variant.dsum ? blocks('dsum', 'float32') : null;
  const dx = blocks('dx', 'float32');
  const isLayer = variant.kind === 'layer';

  const loadGamma = gamma ? gammaQuads(gamma) : '';
  /** Declares c<r>_n and g<r>_n: x - mean and dy * gamma of the block of row r. */
  const load = (r: number) => /* wgsl */ `
    ${rowHandle(x, `x${r}`, `row${r} * blocks + b`)}
    ${rowHandle(dy, `dy${r}`, `row${r} * blocks + b`)}
    ${unroll(QUADS, (n) => `let c${r}_${n} = ${handleQuad(x, `x${r}`, `${n}`)} - mean${r};`)}
    ${unroll(QUADS, (n) => `let g${r}_${n} = ${handleQuad(dy, `dy${r}`, `${n}`)}${gamma ? ` * gamma_${n}` : ''};`)}`;
  const add = (r: number) => /* wgsl */ `
    sums${r} += vec3f(dot(${unroll(QUADS, (n) => `c${r}_${n}`, ' + ')}, ONES),
                      dot(${unroll(QUADS, (n) => `g${r}_${n}`, ' + ')}, ONES),
                      ${unroll(QUADS, (n) => `dot(g${r}_${n}, c${r}_${n})`, ' + ')});`;
  const write = (r: number) => /* wgsl */ `
    ${dsum ? rowHandle(dsum, `dsum${r}`, `row${r} * blocks + b`) : ''}
    ${unroll(
      QUADS,
      (n) => /* wgsl */ `
    { let xhat = (c${r}_${n} - shift${r}) * rstd${r};
      let v = (g${r}_${n} - mean_g${r} - xhat * mean_g_xhat${r}) * rstd${r}${dsum ? ` + ${handleQuad(dsum, `dsum${r}`, `${n}`)}` : ''};
      dx_put(row${r} * blocks + b, ${n}u, v); }`,
    )}`;
  return {
    ...normDxInterface(variant, { dy, x, gamma, dsum, dx }),
    workgroupSize: NORM_DIRECT_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${writerOf(dx)}
fn run(group: u32, lane: u32) {
  const ONES = vec4f(1.0);
  let first = (group * WORKGROUP_SIZE + lane) * ${NORM_ROWS}u;
  if (first >= uniforms.rows) { return; }
  let blocks = uniforms.length / ${NORM_BLOCK}u;
  let count = f32(uniforms.length);
  // Where rows are missing the last thread does the last row again.
${unroll(
  NORM_ROWS,
  (r) => /* wgsl */ `
  let row${r} = min(first + ${r}u, uniforms.rows - 1u);
  let mean${r} = stats[row${r}].x; let rstd${r} = stats[row${r}].y; var sums${r} = vec3f(0.0);`,
)}
  for (var b = 0u; b < blocks; b++) {
    ${loadGamma}
${unroll(NORM_ROWS, (r) => load(r) + add(r))}
  }
${unroll(
  NORM_ROWS,
  (r) => /* wgsl */ `
  let shift${r} = ${isLayer ? `sums${r}.x / count` : '0.0'};
  let mean_g${r} = ${isLayer ? `sums${r}.y / count` : '0.0'};
  let mean_g_xhat${r} = (sums${r}.z - shift${r} * sums${r}.y) * rstd${r} / count;`,
)}
  for (var b = 0u; b < blocks; b++) {
    ${loadGamma}
${unroll(NORM_ROWS, (r) => load(r) + write(r))}
  }
${unroll(NORM_ROWS, (r) => `  correction[row${r}] = shift${r};`)}
}`,
  };
}
