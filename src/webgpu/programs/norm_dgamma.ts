// SPDX-License-Identifier: Apache-2.0
/**
 * dgamma = sum over rows of dy * xhat, dbeta = sum over rows of dy; deterministic, without atomics.
 *
 * Two programs, each of workgroups of some neighbouring quads of columns and, for each of them, some lanes that
 * share its rows. The first: a workgroup owns a block of rows, and writes its float32 partial sums. The second:
 * a workgroup adds up the blocks. Lanes add in a fixed order. Software adapters have one lane, and so no barrier.
 * Workgroup memory: a vector a thread, and one for 16 of them.
 */
import type { FloatDType } from '../../spec/dtype.js';
import type { ColumnTile } from '../norm_tile.js';
import { reads, writes } from '../program.js';
import type { Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, readerOf, tailMask, writerOf } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';

/** Which of the two sums are wanted, and how the rows are stored. */
export interface NormColumnVariant {
  aligned: boolean;
  gamma: boolean;
  beta: boolean;
  tile: ColumnTile;
}

/** Where a thread is: quad `i` of the columns, lane `first` of those that share it; and the block of its group. */
function place({ columns, lanes }: ColumnTile): string {
  return /* wgsl */ `
const LANES = ${lanes}u;
const COLUMNS = ${columns}u;
${rowSum(lanes, 'vec4f', columns)}
struct Place { i: u32, first: u32, block: u32, quads: u32 }
fn place_of(group: u32, lane: u32) -> Place {
  let quads = (uniforms.length + 3u) / 4u;
  let groups = (quads + COLUMNS - 1u) / COLUMNS;
  return Place((group % groups) * COLUMNS + lane % COLUMNS, lane / COLUMNS, group / groups, quads);
}`;
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
    uniforms: { rows: 'u32', length: 'u32', block_rows: 'u32' },
    workgroupSize: variant.tile.columns * variant.tile.lanes,
    code: () => /* wgsl */ `
${BF16}
${readerOf(dy)}
${variant.gamma ? readerOf(x) : ''}
${tailMask(dy)}
${place(variant.tile)}
fn run(group: u32, lane: u32) {
  let at = place_of(group, lane);
  let i = min(at.i, at.quads - 1u);
  let end = min(uniforms.rows, (at.block + 1u) * uniforms.block_rows);
  var dgamma = vec4f(0.0);
  var dbeta = vec4f(0.0);
  for (var row = at.block * uniforms.block_rows + at.first; row < end; row += LANES) {
    let d = dy_at(row, i);
    ${variant.gamma ? 'dgamma += d * ((x_at(row, i) - stats[row].x) - correction[row]) * stats[row].y;' : ''}
    dbeta += d;
  }
  ${variant.gamma ? 'dgamma = row_sum(in_row(dgamma, i), lane);' : ''}
  ${variant.beta ? 'dbeta = row_sum(dbeta, lane);' : ''}
  if (at.first > 0u || at.i >= at.quads) { return; }
  let slot = 2u * (at.block * at.quads + i);
  partials[slot] = dgamma;
  partials[slot + 1u] = dbeta;
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
    workgroupSize: variant.tile.columns * variant.tile.lanes,
    code: () => /* wgsl */ `
${BF16}
${outputs.map(writerOf).join('\n')}
${place(variant.tile)}
fn run(group: u32, lane: u32) {
  let at = place_of(group, lane);
  let i = min(at.i, at.quads - 1u);
  var gamma_sum = vec4f(0.0);
  var beta_sum = vec4f(0.0);
  for (var block = at.first; block < uniforms.blocks; block += LANES) {
    let slot = 2u * (block * at.quads + i);
    gamma_sum += partials[slot];
    beta_sum += partials[slot + 1u];
  }
  ${variant.gamma ? 'gamma_sum = row_sum(gamma_sum, lane);' : ''}
  ${variant.beta ? 'beta_sum = row_sum(beta_sum, lane);' : ''}
  if (at.first > 0u || at.i >= at.quads) { return; }
  ${variant.gamma ? 'dgamma_put(0u, i, gamma_sum);' : ''}
  ${variant.beta ? 'dbeta_put(0u, i, beta_sum);' : ''}
}`,
  };
}
