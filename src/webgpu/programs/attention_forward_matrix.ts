// SPDX-License-Identifier: Apache-2.0
/**
 * attention_forward.ts with its two products by subgroup matrices: Q Kᵀ and P V of a tile of `rows` queries and
 * `keys` keys, from workgroup memory, with float32 results. A row is shared by columnThreads threads, which take its
 * scores through mask and softmax; the output's sums stay in workgroup memory, as only whole matrices can be
 * scaled in registers.
 *
 * With float16 factors: bfloat16 query, key and value are exact in them. Weights are not: they are split into a
 * rounded part and the rest, and both are multiplied with V, which keeps 22 bits. They are raised by 2^15 before, to
 * the top of float16's range, so that none above 2^-39 of a row's largest is lost. Dropout's factor is applied
 * at the end. A number that no factor can be (beyond 65,504, infinite, NaN) is a zero in the products; the scores of its query
 * or key are then taken again from the tensors, and its part of the output is added, in float32, for the queries that
 * see it alone: a hidden key's NaN changes no bit.
 * Memory: Q + max(K, V) + scores + weights (twice) + output. Five barriers a tile. Scores and sums: float32.
 */
import { padded } from '../matrix_tile.js';
import type { MatrixTile } from '../matrix_tile.js';
import type { Program } from '../program.js';
import { forwardPass } from './attention_passes.js';
import type { AttentionForwardVariant } from './attention_passes.js';
import { fullTile } from '../wgsl/attention.js';
import { loadFactors, overTiles } from '../wgsl/matrix_factors.js';
import {
  PLAIN_DOT,
  QUERY_PLACE,
  matrixFrame,
  matrixPlaceOf,
  matrixPrelude,
  matrixProduct,
} from '../wgsl/subgroup_matrix.js';

export function attentionForwardMatrixProgram(
  variant: AttentionForwardVariant,
  tile: MatrixTile,
): Program {
  const { k, v, dropout } = variant;
  const { matrix, columnThreads, keys, rows } = tile;
  const [kPadded, vPadded] = [padded(k, matrix.inner), padded(v, matrix.columns)];
  const splits = matrix.component === 'f16';
  const { prelude, ...shared } = forwardPass(variant);
  const scoreProduct = matrixProduct(matrix, {
    left: [{ array: 'q_tile', offset: `first_row * KP + step * ${matrix.inner}u`, stride: 'KP' }],
    right: {
      ...{ array: 'kv_tile', offset: `first_column * KP + step * ${matrix.inner}u`, stride: 'KP' },
      columnMajor: true,
    },
    result: { array: 'scores', offset: 'first_row * PITCH + first_column', stride: 'PITCH' },
    adds: false,
    steps: kPadded / matrix.inner,
  });
  const keyTile = {
    ...{ target: 'kv_tile', rows: 'u32(KEYS)', isThere: 'first + i32(row) < range.y' },
  };
  const weightsAt = `first_row * PITCH + step * ${matrix.inner}u`;
  const outputProduct = matrixProduct(matrix, {
    left: (splits ? ['weights', 'weight_rests'] : ['weights']).map((array) => ({
      ...{ array, offset: weightsAt, stride: 'PITCH' },
    })),
    right: {
      array: 'kv_tile',
      offset: `step * ${matrix.inner}u * VP + first_column`,
      stride: 'VP',
    },
    result: { array: 'sums_tile', offset: 'first_row * VP + first_column', stride: 'VP' },
    adds: true,
    steps: keys / matrix.inner,
  });
  return {
    ...shared,
    ...matrixFrame(variant, matrix),
    code: () => /* wgsl */ `
${prelude}
${matrixPrelude(matrix)}
const CT = ${columnThreads}u; // threads to a row
const TC = ${keys / columnThreads};   // columns of a thread: its number + CT * c
const PITCH = ${keys}u;
const KP = ${kPadded}u;
const VP = ${vPadded}u;
const RAISE = ${splits ? '15.0' : '0.0'};
var<workgroup> q_tile: array<Factor, ${rows * kPadded}>;
var<workgroup> kv_tile: array<Factor, ${keys * Math.max(kPadded, vPadded)}>;
var<workgroup> scores: array<f32, ${rows * keys}>;
var<workgroup> weights: array<Factor, ${rows * keys}>;
${splits ? `var<workgroup> weight_rests: array<Factor, ${rows * keys}>;` : ''}
var<workgroup> sums_tile: array<f32, ${rows * vPadded}>;
var<workgroup> row_max: array<f32, ${rows * columnThreads}>;
// Whether queries and keys, one by one, and the values of a tile have a number that is no factor.
const ODD_VALUES = ${rows + keys}u;
var<workgroup> odd: array<atomic<u32>, ${rows + keys + 1}>;
${PLAIN_DOT}

fn run(group: u32, lane: u32) {
  ${matrixPlaceOf(matrix)}
${QUERY_PLACE}
  var running_max = HIDDEN;
  var running_sum = 0.0;
  for (var n = lane; n <= ODD_VALUES; n += WORKGROUP_SIZE) { atomicStore(&odd[n], 0u); }
  for (var n = lane; n < u32(ROWS) * VP; n += WORKGROUP_SIZE) { sums_tile[n] = 0.0; }
  workgroupBarrier();
${loadFactors({
  ...{ target: 'q_tile', rows: 'u32(ROWS)', pitch: 'KP', quads: 'K4', flag: 'row' },
  ...{ isThere: 'i0 + i32(row) < i1', value: 'q_at(q_row(work, head, i0 + i32(row)), quad)' },
})}
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
${loadFactors({
  ...{ ...keyTile, pitch: 'KP', quads: 'K4', flag: 'u32(ROWS) + row' },
  value: 'k_at(k_row(work, kv_head, first + i32(row)), quad)',
})}
    workgroupBarrier();
${overTiles(matrix, rows, keys, scoreProduct)}
    workgroupBarrier();
    var s = array<f32, TC>();
    var highest = HIDDEN;
    for (var c = 0; c < TC; c++) {
      let column = column0 + CT * u32(c);
      let j = first + i32(column);
      let seen = full || (j < range.y && visible(block, i, j));
      var dot_product = scores[own * PITCH + column];
      if ((atomicLoad(&odd[own]) | atomicLoad(&odd[u32(ROWS) + column])) != 0u && j < range.y) {
        dot_product = plain_dot(own_q, k_row(work, kv_head, j));
      }
      s[c] = score(capped(dot_product), work.batch, head, u32(block.q_start + i), u32(j), seen);
      highest = max(highest, s[c]);
    }
    row_max[lane] = highest;
    if (lane == 0u) { atomicStore(&odd[ODD_VALUES], 0u); }
    workgroupBarrier();
${loadFactors({
  ...{ ...keyTile, pitch: 'VP', quads: 'V4', flag: 'ODD_VALUES' },
  value: 'v_at(v_row(work, kv_head, first + i32(row)), quad)',
})}
    let before = running_max;
    for (var n = 0u; n < CT; n++) { running_max = max(running_max, row_max[own * CT + n]); }
    let shrink = exp2(before - running_max);
    running_sum *= shrink;
    for (var n = column0; n < VP; n += CT) { sums_tile[own * VP + n] *= shrink; }
    ${dropout ? 'let drop_row = row_key(work.batch, head, u32(block.q_start + i));' : ''}
    for (var c = 0; c < TC; c++) {
      let column = column0 + CT * u32(c);
      var p = select(exp2(s[c] - running_max + RAISE), 0.0, is_hidden(s[c]));
      running_sum += p;
      ${dropout ? 'if (p > 0.0 && keep_scale(drop_row, key_row(block, first + i32(column))) == 0.0) { p = 0.0; }' : ''}
      let rounded = factor(p);
      weights[own * PITCH + column] = rounded;
      ${splits ? 'weight_rests[own * PITCH + column] = factor(p - f32(rounded));' : ''}
    }
    workgroupBarrier();
${overTiles(matrix, rows, vPadded, outputProduct)}
    for (var n = lane; n < u32(KEYS); n += WORKGROUP_SIZE) { atomicStore(&odd[u32(ROWS) + n], 0u); }
    workgroupBarrier();
    if (atomicLoad(&odd[ODD_VALUES]) != 0u) {
      let columns = u32(min(KEYS, range.y - first));
      for (var quad = column0; quad < V4; quad += CT) {
        var sum = vec4f(0.0);
        for (var j = 0u; j < columns; j++) {
          let at = own * PITCH + j;
          let p = f32(weights[at])${splits ? ' + f32(weight_rests[at])' : ''};
          let value = v_at(v_row(work, kv_head, first + i32(j)), quad);
          if (p > 0.0) { sum += select(vec4f(0.0), p * value, no_factors(value)); }
        }
        for (var c = 0u; c < 4u; c++) { sums_tile[own * VP + 4u * quad + c] += sum[c]; }
      }
    }
  }
  row_max[lane] = running_sum;
  workgroupBarrier();
  if (i >= block.q_length) { return; }
  var total = 0.0;
  for (var n = 0u; n < CT; n++) { total += row_max[own * CT + n]; }
  let end = end_row(head, running_max - RAISE, total);
  let row = o_row(work, head, i);
  for (var quad = column0; quad < V4; quad += CT) {
    let at = own * VP + 4u * quad;
    let sum = vec4f(sums_tile[at], sums_tile[at + 1u], sums_tile[at + 2u], sums_tile[at + 3u]);
    o_put(row, quad, end_value(sum${dropout ? ' * uniforms.keep_scale' : ''}, end));
  }
  if (column0 == 0u) { lse[stats_row(work, head, i)] = end.lse_bits; }
}`,
  };
}
