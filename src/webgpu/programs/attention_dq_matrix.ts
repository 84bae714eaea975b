// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dq.ts with its products by subgroup matrices: Q Kᵀ, dO Vᵀ and dS K of a tile of `rows` queries and `keys`
 * keys, from workgroup memory, with float32 results. A row is shared by columnThreads threads.
 *
 * With float16 factors: bfloat16 query, key and value are exact in them; dO and dS are raised and split
 * (wgsl/matrix_factors.ts). The largest dS of a row is known tile by tile: where it grows the row's sums are lowered, by a
 * power of two. Numbers that are no factors: scores and products of their rows or keys are taken again from the tensors, and
 * their part of dQ is added in float32, for queries that see them alone: a hidden key's NaN changes no bit.
 * Memory: Q + dO (twice) + K + V + scores + products + dS (twice) + dQ. Four barriers a tile. Sums: float32, fixed order.
 */
import { gradientPadding } from '../matrix_tile.js';
import type { MatrixTile } from '../matrix_tile.js';
import type { Program } from '../program.js';
import { fullTile } from '../wgsl/attention.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import {
  loadFactors,
  loadRaised,
  overTiles,
  putRaised,
  splitParts,
} from '../wgsl/matrix_factors.js';
import { gradientCode, pairProduct, sumProduct } from '../wgsl/matrix_gradient.js';
import { QUERY_PLACE, matrixFrame, matrixPlaceOf } from '../wgsl/subgroup_matrix.js';
import { dqPass } from './attention_passes.js';

export function attentionDqMatrixProgram(variant: AttentionVariant, tile: MatrixTile): Program {
  const { k, v } = variant;
  const { matrix, keys, rows } = tile;
  const [kPadded, vPadded] = [gradientPadding(matrix, k), gradientPadding(matrix, v)];
  const { prelude, ...shared } = dqPass(variant);
  const gradients = ['gradients', 'gradient_rests'] as const;
  const outputParts = splitParts(matrix, ['d_o_tile', 'd_o_rests']);
  const keyTile = {
    ...{ rows: 'u32(KEYS)', isThere: 'first + i32(row) < range.y', flag: 'u32(ROWS) + row' },
  };
  const queryTile = { rows: 'u32(ROWS)', isThere: 'i0 + i32(row) < i1', flag: 'row' };
  return {
    ...shared,
    ...matrixFrame(variant, matrix),
    code: () => /* wgsl */ `
${prelude}
${gradientCode(variant, tile)}
const PITCH = ${keys}u;
var<workgroup> q_tile: array<Factor, ${rows * kPadded}>;
${outputParts.map((name) => `var<workgroup> ${name}: array<Factor, ${rows * vPadded}>;`).join('\n')}
var<workgroup> k_tile: array<Factor, ${keys * kPadded}>;
var<workgroup> v_tile: array<Factor, ${keys * vPadded}>;
var<workgroup> scores: array<f32, ${rows * keys}>; // then dS
var<workgroup> value_products: array<f32, ${rows * keys}>;
${splitParts(matrix, gradients)
  .map((name) => `var<workgroup> ${name}: array<Factor, ${rows * keys}>;`)
  .join('\n')}
var<workgroup> sums_tile: array<f32, ${rows * kPadded}>;
// Bits of the largest magnitudes of the rows of dO, and of dS so far.
var<workgroup> d_o_tops: array<atomic<u32>, ${rows}>;
var<workgroup> row_tops: array<atomic<u32>, ${rows}>;
// Whether queries and keys, one by one, and the keys or the dS of a tile (in turn) have a number that is no factor.
const ODD_TILE = ${rows + keys}u;
var<workgroup> odd: array<atomic<u32>, ${rows + keys + 2}>;

fn run(group: u32, lane: u32) {
  ${matrixPlaceOf(matrix)}
${QUERY_PLACE}
  let own_d_o = o_row(work, head, own_query);
  let stats = row_stats[stats_row(work, head, own_query)];
  for (var n = lane; n < ODD_TILE + 2u; n += WORKGROUP_SIZE) { atomicStore(&odd[n], 0u); }
  for (var n = lane; n < u32(ROWS); n += WORKGROUP_SIZE) {
    atomicStore(&d_o_tops[n], 0u);
    atomicStore(&row_tops[n], 0u);
  }
  for (var n = lane; n < u32(ROWS) * KP; n += WORKGROUP_SIZE) { sums_tile[n] = 0.0; }
  workgroupBarrier();
${loadFactors({ ...queryTile, target: 'q_tile', pitch: 'KP', quads: 'K4', value: 'q_at(q_row(work, head, i0 + i32(row)), quad)' })}
${loadRaised(matrix, {
  ...{ ...queryTile, target: 'd_o_tile', rests: 'd_o_rests', tops: 'd_o_tops', pitch: 'VP' },
  ...{ quads: 'V4', value: 'd_o_at(o_row(work, head, i0 + i32(row)), quad)' },
})}
  var raised = raise_of(0u);
  var turn = 0u;
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i0 + ROWS', 'first', 'first + KEYS')};
    let odd_tile = ODD_TILE + turn;
    turn = 1u - turn;
${loadFactors({ ...keyTile, target: 'k_tile', pitch: 'KP', quads: 'K4', value: 'k_at(k_row(work, kv_head, first + i32(row)), quad)' })}
${loadFactors({ ...keyTile, target: 'v_tile', pitch: 'VP', quads: 'V4', value: 'v_at(v_row(work, kv_head, first + i32(row)), quad)' })}
    workgroupBarrier();
${overTiles(matrix, rows, keys, pairProduct(tile, ['q_tile'], 'k_tile', ['KP', kPadded], ['scores', 'PITCH']))}
${overTiles(matrix, rows, keys, pairProduct(tile, outputParts, 'v_tile', ['VP', vPadded], ['value_products', 'PITCH']))}
    workgroupBarrier();
    let lowered = power(-raise_of(atomicLoad(&d_o_tops[own])));
    var gradient = array<f32, TC>();
    var top = 0u;
    for (var c = 0; c < TC; c++) {
      let column = column0 + CT * u32(c);
      let j = first + i32(column);
      let seen = i < i1 && j < range.y && (full || visible(block, i, j));
      var products = vec2f(scores[own * PITCH + column], value_products[own * PITCH + column] * lowered);
      let of_key = atomicLoad(&odd[u32(ROWS) + column]);
      if (seen && (atomicLoad(&odd[own]) | of_key) != 0u) {
        products = vec2f(plain_dot(own_q, k_row(work, kv_head, j)), plain_value_dot(own_d_o, v_row(work, kv_head, j)));
      }
      gradient[c] = pair_of(work, head, i, j, seen, products, stats).y;
      top = max(top, top_of(vec4f(gradient[c], 0.0, 0.0, 0.0)));
      if (of_key != 0u || is_odd(gradient[c])) { atomicOr(&odd[odd_tile], 1u); }
      scores[own * PITCH + column] = gradient[c];
    }
    atomicMax(&row_tops[own], top);
    if (lane == 0u) { atomicStore(&odd[ODD_TILE + turn], 0u); }
    workgroupBarrier();
    let before = raised;
    raised = raise_of(atomicLoad(&row_tops[own]));
    let shrink = power(max(raised - before, -126));
    for (var n = column0; n < KP; n += CT) { sums_tile[own * KP + n] *= shrink; }
    for (var c = 0; c < TC; c++) {
      ${putRaised(matrix, gradients, 'own * PITCH + column0 + CT * u32(c)', ['gradient[c]', 'raised'])}
    }
    for (var n = lane; n < u32(KEYS); n += WORKGROUP_SIZE) { atomicStore(&odd[u32(ROWS) + n], 0u); }
    workgroupBarrier();
${overTiles(matrix, rows, kPadded, sumProduct(tile, splitParts(matrix, gradients), 'k_tile', 'sums_tile', 'KP'))}
    workgroupBarrier();
    if (atomicLoad(&odd[odd_tile]) != 0u) {
      let columns = u32(min(KEYS, range.y - first));
      for (var quad = column0; quad < K4; quad += CT) {
        var sum = vec4f(0.0);
        for (var column = 0u; column < columns; column++) {
          let weight = scores[own * PITCH + column];
          let key = k_at(k_row(work, kv_head, first + i32(column)), quad);
          let adds = no_factors(key) | vec4<bool>(is_odd(weight));
          if (bitcast<u32>(weight) != 0u) { sum += select(vec4f(0.0), weight * key, adds); }
        }
        for (var c = 0u; c < 4u; c++) { sums_tile[own * KP + 4u * quad + c] += sum[c] * power(raised); }
      }
    }
  }
  workgroupBarrier();
  if (i >= block.q_length) { return; }
  for (var quad = column0; quad < K4; quad += CT) {
    let at = own * KP + 4u * quad;
    let sum = vec4f(sums_tile[at], sums_tile[at + 1u], sums_tile[at + 2u], sums_tile[at + 3u]);
    dq_put(own_q, quad, sum * power(-raised));
  }
}`,
  };
}
