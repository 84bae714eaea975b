// SPDX-License-Identifier: Apache-2.0
/**
 * dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy; deterministic, without atomics.
 *
 * Two programs. The first: one thread owns one quad of columns and one block of rows, and writes its
 * float32 partial sums. The second: one thread owns one quad of columns and adds up the blocks.
 * The host takes about sqrt(rows) rows a block, so that neither loop is long. No workgroup memory.
 */
import type { FloatDType } from '../../spec/dtype.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { elementOf, readerOf, tailMask, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';

export const COLUMN_WORKGROUP = 64;

/** Which of the two sums are wanted, and how the rows are stored. */
export interface NormColumnVariant {
  aligned: boolean;
  gamma: boolean;
  beta: boolean;
}

function rowsOf(name: string, dtype: FloatDType, aligned: boolean): RowTensor {
  return { name, dtype, length: 'uniforms.length', aligned };
}

export function normPartialProgram(variant: NormColumnVariant & { x: FloatDType }): Program {
  const dy = rowsOf('dy', 'float32', variant.aligned);
  const x = rowsOf('x', variant.x, variant.aligned);
  const xhatInputs = variant.gamma
    ? [reads('x', elementOf(x)), reads('stats', 'vec2<f32>'), reads('correction', 'f32')]
    : [];
  return {
    name: 'FusedNormGradPartial',
    key: JSON.stringify(variant),
    bindings: [reads('dy', elementOf(dy)), ...xhatInputs, writes('partials', 'vec4<f32>')],
    uniforms: { rows: 'u32', length: 'u32', block_rows: 'u32', blocks: 'u32' },
    workgroupSize: COLUMN_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${readerOf(dy)}
${variant.gamma ? readerOf(x) : ''}
${tailMask(dy)}
fn run(group: u32, lane: u32) {
  let quads = (uniforms.length + 3u) / 4u;
  let at = group * WORKGROUP_SIZE + lane;
  let i = at % quads;
  let block = at / quads;
  if (block >= uniforms.blocks) { return; }
  let end = min(uniforms.rows, (block + 1u) * uniforms.block_rows);
  var dgamma = vec4f(0.0);
  var dbeta = vec4f(0.0);
  for (var row = block * uniforms.block_rows; row < end; row++) {
    let d = dy_at(row, i);
    ${variant.gamma ? 'dgamma += d * ((x_at(row, i) - stats[row].x) - correction[row]) * stats[row].y;' : ''}
    dbeta += d;
  }
  partials[2u * at] = in_row(dgamma, i);
  partials[2u * at + 1u] = dbeta;
}`,
  };
}

export function normColumnSumProgram(variant: NormColumnVariant): Program {
  const outputs: RowTensor[] = [];
  if (variant.gamma) outputs.push(rowsOf('dgamma', 'float32', variant.aligned));
  if (variant.beta) outputs.push(rowsOf('dbeta', 'float32', variant.aligned));
  return {
    name: 'FusedNormGradColumnSum',
    key: JSON.stringify(variant),
    bindings: [
      reads('partials', 'vec4<f32>'),
      ...outputs.map((output) => writes(output.name, elementOf(output))),
    ],
    uniforms: { length: 'u32', blocks: 'u32' },
    workgroupSize: COLUMN_WORKGROUP,
    code: () => /* wgsl */ `
${BF16}
${outputs.map(writerOf).join('\n')}
fn run(group: u32, lane: u32) {
  let quads = (uniforms.length + 3u) / 4u;
  let i = group * WORKGROUP_SIZE + lane;
  if (i >= quads) { return; }
  var gamma_sum = vec4f(0.0);
  var beta_sum = vec4f(0.0);
  for (var block = 0u; block < uniforms.blocks; block++) {
    let at = block * quads + i;
    gamma_sum += partials[2u * at];
    beta_sum += partials[2u * at + 1u];
  }
  ${variant.gamma ? 'dgamma_put(0u, i, gamma_sum);' : ''}
  ${variant.beta ? 'dbeta_put(0u, i, beta_sum);' : ''}
}`,
  };
}
