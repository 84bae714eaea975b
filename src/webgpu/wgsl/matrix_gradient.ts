// SPDX-License-Identifier: Apache-2.0
/** What the gradient passes by subgroup matrices share: see programs/attention_dq_matrix.ts and attention_dkdv_matrix.ts. */
import { gradientPadding } from '../matrix_tile.js';
import type { MatrixTile } from '../matrix_tile.js';
import type { AttentionVariant } from './attention.js';
import { PLAIN_DOT, matrixPrelude, matrixProduct } from './subgroup_matrix.js';
import { raisedCode } from './matrix_factors.js';

/** A key that no query sees, or the other way round, takes no part, whatever its numbers are. */
export function gradientCode(variant: AttentionVariant, tile: MatrixTile): string {
  const { k, v, dropout } = variant;
  const { matrix, columnThreads, keys } = tile;
  return /* wgsl */ `
${matrixPrelude(matrix)}
${raisedCode(matrix)}
const CT = ${columnThreads}u; // threads to a row
const TC = ${keys / columnThreads};   // columns of a thread: its number + CT * c
const KP = ${gradientPadding(matrix, k)}u;
const VP = ${gradientPadding(matrix, v)}u;
${PLAIN_DOT}
fn plain_value_dot(gradient: u32, value: u32) -> f32 {
  var sum = 0.0;
  for (var quad = 0u; quad < V4; quad++) { sum += dot(d_o_at(gradient, quad), v_at(value, quad)); }
  return sum;
}
// The weight, after dropout, and the gradient of the dot product; stats: logSumExp in base 2 and delta.
fn pair_of(work: Work, head: u32, i: i32, j: i32, seen: bool, products: vec2f, stats: vec2f) -> vec2f {
  let plain = capped(products.x);
  let row = u32(work.block.q_start + i);
  let base2 = score(plain, work.batch, head, row, u32(j), seen);
  if (is_hidden(base2)) { return vec2f(0.0); }
  let p = exp2(base2 - stats.x);
  var keep = 1.0;
  ${dropout ? 'keep = keep_scale(row_key(work.batch, head, row), key_row(work.block, j));' : ''}
  return vec2f(p * keep, p * (products.y * keep - stats.y) * score_slope(plain));
}
fn is_odd(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) >= NO_NUMBER; }`;
}

/** Statement: result[query][key] = sum over numbers of left[query] * right[key], both with rows of `pitch`. */
export function pairProduct(
  { matrix }: MatrixTile,
  left: readonly string[],
  right: string,
  [pitch, padded]: readonly [string, number],
  [result, resultPitch]: readonly [string, string],
): string {
  const place = (array: string) => ({
    ...{ array, offset: `first_row * ${pitch} + step * ${matrix.inner}u`, stride: pitch },
  });
  return matrixProduct(matrix, {
    left: left.map(place),
    right: {
      ...{ array: right, offset: `first_column * ${pitch} + step * ${matrix.inner}u` },
      ...{ stride: pitch, columnMajor: true },
    },
    result: {
      ...{ array: result, offset: `first_row * ${resultPitch} + first_column` },
      stride: resultPitch,
    },
    adds: false,
    steps: padded / matrix.inner,
  });
}

/** Statement: result[row] += sum over columns of weights[row][column] * right[column], whose rows are of `pitch`. */
export function sumProduct(
  { matrix, keys }: MatrixTile,
  weights: readonly string[],
  right: string,
  result: string,
  pitch: string,
): string {
  return matrixProduct(matrix, {
    left: weights.map((array) => ({
      ...{ array, offset: `first_row * ${keys}u + step * ${matrix.inner}u`, stride: `${keys}u` },
    })),
    right: {
      array: right,
      offset: `step * ${matrix.inner}u * ${pitch} + first_column`,
      stride: pitch,
    },
    result: { array: result, offset: `first_row * ${pitch} + first_column`, stride: pitch },
    adds: true,
    steps: keys / matrix.inner,
  });
}
