// SPDX-License-Identifier: Apache-2.0
/**
 * Products of tiles in workgroup memory, by subgroup matrices: result (+)= sum over steps of left * right.
 *
 * Tests run them on devices without the feature: the same tiles, offsets, strides and order of axes, with each
 * matrix product as a plain loop of `emulated` threads, and float16 values as float32 ones that are rounded alike.
 */
import type { MatrixShape } from '../matrix_tile.js';
import type { AttentionVariant } from './attention.js';
import { tileWorkgroup } from './shared_tile.js';

/** A matrix in an array in workgroup memory; offset (in step `step`) and stride are WGSL expressions. */
export interface MatrixPlace {
  array: string;
  offset: string;
  stride: string;
  /** Whether neighbours in memory are of one column. */
  columnMajor?: boolean;
}

export interface MatrixProduct {
  /** Each is multiplied by right, and all are added up. */
  left: MatrixPlace[];
  right: MatrixPlace;
  result: MatrixPlace;
  /** Whether the result is added to what is there. */
  adds: boolean;
  steps: number;
}

/** Directives of a program with subgroup matrices. Subgroups take the same way, which compilers cannot always see. */
function matrixDirectives({ component }: MatrixShape): string {
  return `${component === 'f16' ? 'enable f16;' : ''}
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, subgroup_uniformity);
diagnostic(off, chromium.subgroup_matrix_uniformity);
`;
}

/**
 * Type \`Factor\` of the factors' values, `factor(x)` which rounds to it, and the threads' place: `subgroup` and
 * `subgroups`, which the entry point sets.
 */
export function matrixPrelude({ component, emulated }: MatrixShape): string {
  const exact = component === 'f32';
  const type = exact || emulated ? 'f32' : 'f16';
  const rounded = exact ? 'x' : emulated ? 'quantizeToF16(x)' : 'f16(x)';
  return /* wgsl */ `
alias Factor = ${type};
fn factor(x: f32) -> Factor { return ${rounded}; }
// The largest number that a factor can be, by its bits; larger ones, infinities and NaN have larger bits.
const LARGEST_FACTOR = ${exact ? '0x7f7fffffu' : '0x477fe000u'};
fn no_factors(value: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) > vec4u(LARGEST_FACTOR);
}
${emulated ? `var<private> subgroup_lane: u32;\nvar<private> subgroup: u32;\nconst subgroups = WORKGROUP_SIZE / ${emulated}u;` : 'var<private> subgroup: u32;\nvar<private> subgroups: u32;'}`;
}

/** What a program has beside its code. */
export function matrixFrame(variant: AttentionVariant, matrix: MatrixShape) {
  return {
    workgroupSize: tileWorkgroup(variant),
    ...(matrix.emulated ? {} : { matrices: matrixDirectives(matrix) }),
  };
}

/** Statements of a thread, one of CT for query `i`, that name its place in a tile of queries. */
export const QUERY_PLACE = /* wgsl */ `
  let work = locate(group);
  let block = work.block;
  let head = work.head;
  let kv_head = head / (uniforms.heads / uniforms.kv_heads);
  let column0 = lane % CT;
  let own = lane / CT;
  let i0 = work.first;
  let i1 = min(i0 + ROWS, block.q_length);
  let i = i0 + i32(own);
  let own_query = min(i, block.q_length - 1);
  let own_q = q_row(work, head, own_query);
  let range = visible_keys(block, i0, i1);`;

/** WGSL of a dot product for a query and a key of which one has a number that is no factor. */
export const PLAIN_DOT = /* wgsl */ `
fn plain_dot(query: u32, key: u32) -> f32 {
  var sum = 0.0;
  for (var quad = 0u; quad < K4; quad++) { sum += dot(q_at(query, quad), k_at(key, quad)); }
  return sum;
}`;

const at = ({ array, offset, stride, columnMajor }: MatrixPlace, row: string, column: string) =>
  columnMajor
    ? `${array}[${offset} + (${column}) * (${stride}) + ${row}]`
    : `${array}[${offset} + (${row}) * (${stride}) + ${column}]`;

const major = ({ columnMajor }: MatrixPlace) => (columnMajor ? 'col_major' : 'row_major');

/** Statement that the threads of a subgroup execute together. */
export function matrixProduct(shape: MatrixShape, product: MatrixProduct): string {
  const { rows, columns, inner, component, emulated } = shape;
  const { left, right, result, adds, steps } = product;
  if (emulated) {
    return /* wgsl */ `{
      var sums = array<f32, ${(rows * columns) / emulated}>();
      for (var n = 0u; n < ${(rows * columns) / emulated}u; n++) {
        let row = (subgroup_lane + ${emulated}u * n) / ${columns}u;
        let column = (subgroup_lane + ${emulated}u * n) % ${columns}u;
        ${adds ? `sums[n] = ${at(result, 'row', 'column')};` : ''}
        for (var step = 0u; step < ${steps}u; step++) {
          for (var k = 0u; k < ${inner}u; k++) {
            let factor_right = ${at(right, 'k', 'column')};
            ${left.map((place) => `sums[n] += ${at(place, 'row', 'k')} * factor_right;`).join(' ')}
          }
        }
      }
      for (var n = 0u; n < ${(rows * columns) / emulated}u; n++) {
        let row = (subgroup_lane + ${emulated}u * n) / ${columns}u;
        let column = (subgroup_lane + ${emulated}u * n) % ${columns}u;
        ${at(result, 'row', 'column')} = sums[n];
      }
    }`;
  }
  const resultType = `subgroup_matrix_result<f32, ${columns}, ${rows}>`;
  const load = (place: MatrixPlace, type: string) =>
    `subgroupMatrixLoad<${type}, ${major(place)}>(&${place.array}, ${place.offset}, ${place.stride})`;
  return /* wgsl */ `{
      var sums = ${adds ? load(result, resultType) : `${resultType}()`};
      for (var step = 0u; step < ${steps}u; step++) {
        let factor_right = ${load(right, `subgroup_matrix_right<${component}, ${columns}, ${inner}>`)};
        ${left
          .map(
            (place) =>
              `sums = subgroupMatrixMultiplyAccumulate(${load(place, `subgroup_matrix_left<${component}, ${inner}, ${rows}>`)}, factor_right, sums);`,
          )
          .join('\n        ')}
      }
      subgroupMatrixStore<${major(result)}>(&${result.array}, ${result.offset}, sums, ${result.stride});
    }`;
}

/** Statement at the start of `run` that tells a thread its place, where no built-in value does. */
export function matrixPlaceOf({ emulated }: MatrixShape): string {
  return emulated ? `subgroup = lane / ${emulated}u;\n  subgroup_lane = lane % ${emulated}u;` : '';
}
