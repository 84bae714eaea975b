// SPDX-License-Identifier: Apache-2.0
/**
 * attention_dkdv.ts with its products by subgroup matrices, as attention_dq_matrix.ts: a workgroup owns `rows` keys of one
 * key/value head and streams the queries that see them, `keys` at a time, head after head. Q Kᵀ and dO Vᵀ of a tile, then
 * dV += Pᵀ dO and dK += dSᵀ Q.
 *
 * With float16 factors each query's dO is raised by its own power of two, which its weights are lowered by. Weights and dS
 * are raised by the largest of a key's row, so that a query that does not see a key leaves it its precision. Of the four
 * products of split weights and split dO, that of both rests is left out: it is below what is kept.
 * Memory: K + V + Q + dO (twice) + scores + products + P (twice) + dS (twice) + dK + dV. Five barriers a tile.
 */
import { gradientPadding } from '../matrix_tile.js';
import type { MatrixTile } from '../matrix_tile.js';
import type { Program } from '../program.js';
import { fullTile } from '../wgsl/attention.js';
import {
  loadFactors,
  loadRaised,
  overTiles,
  putRaised,
  splitParts,
} from '../wgsl/matrix_factors.js';
import { gradientCode, pairProduct, sumProduct } from '../wgsl/matrix_gradient.js';
import { matrixFrame, matrixPlaceOf } from '../wgsl/subgroup_matrix.js';
import { dkdvPass } from './attention_passes.js';
import type { AttentionDkdvVariant } from './attention_passes.js';

/** Statement that adds to a key's sums what was no factor: numbers of the streamed rows, or their weights. */
function addOdd(
  sums: string,
  [pitch, quads, raised]: readonly [string, string, string],
  weights: string,
  [value, none]: readonly [string, string],
): string {
  return /* wgsl */ `
        for (var quad = column0; quad < ${quads}; quad += CT) {
          var sum = vec4f(0.0);
          for (var column = 0u; column < columns; column++) {
            let weight = ${weights}[column * PITCH + own];
            let value = ${value};
            let adds = ${none} | vec4<bool>(is_odd(weight));
            if (bitcast<u32>(weight) != 0u) { sum += select(vec4f(0.0), weight * value, adds); }
          }
          for (var c = 0u; c < 4u; c++) { ${sums}[own * ${pitch} + 4u * quad + c] += sum[c] * power(${raised}); }
        }`;
}

/** Statement that writes a row from a key's sums. */
function putSums(put: string, sums: string, pitch: string, quads: string, raised: string): string {
  return /* wgsl */ `
  for (var quad = column0; quad < ${quads}; quad += CT) {
    let at = own * ${pitch} + 4u * quad;
    let sum = vec4f(${sums}[at], ${sums}[at + 1u], ${sums}[at + 2u], ${sums}[at + 3u]);
    ${put}, quad, sum * power(-${raised}));
  }`;
}

export function attentionDkdvMatrixProgram(
  variant: AttentionDkdvVariant,
  tile: MatrixTile,
): Program {
  const { k, v } = variant;
  const { matrix, keys, rows } = tile;
  const [kPadded, vPadded] = [gradientPadding(matrix, k), gradientPadding(matrix, v)];
  const { prelude, ...shared } = dkdvPass(variant);
  const weights = ['weights', 'weight_rests'] as const;
  const gradients = ['gradients', 'gradient_rests'] as const;
  const [outputs, outputRests] = splitParts(matrix, ['d_o_tile', 'd_o_rests']);
  const factors = (names: readonly string[], count: number) =>
    names.map((name) => `var<workgroup> ${name}: array<Factor, ${count}>;`).join('\n');
  const keyTile = {
    ...{ rows: 'u32(ROWS)', isThere: 'j0 + i32(row) < block.k_length', flag: 'row' },
  };
  const queryTile = {
    ...{ rows: 'u32(KEYS)', isThere: 'first + i32(row) < range.y', flag: 'u32(ROWS) + row' },
  };
  const split = splitParts(matrix, weights);
  return {
    ...shared,
    ...matrixFrame(variant, matrix),
    code: () => /* wgsl */ `
${prelude}
${gradientCode(variant, tile)}
const PITCH = ${rows}u;
const WEIGHT_PITCH = ${keys}u;
${factors(['k_tile'], rows * kPadded)}
${factors(['v_tile'], rows * vPadded)}
${factors(['q_tile'], keys * kPadded)}
${factors(splitParts(matrix, ['d_o_tile', 'd_o_rests']), keys * vPadded)}
var<workgroup> scores: array<f32, ${rows * keys}>; // [query][key], then dS
var<workgroup> value_products: array<f32, ${rows * keys}>; // the same, then weights
${factors([...split, ...splitParts(matrix, gradients)], rows * keys)}
var<workgroup> k_sums: array<f32, ${rows * kPadded}>;
var<workgroup> v_sums: array<f32, ${rows * vPadded}>;
var<workgroup> tile_stats: array<vec2f, ${keys}>;
// Bits of the largest magnitudes: of rows of dO, and so far of a key's dS and weights.
var<workgroup> d_o_tops: array<atomic<u32>, ${keys}>;
var<workgroup> k_tops: array<atomic<u32>, ${rows}>;
var<workgroup> v_tops: array<atomic<u32>, ${rows}>;
// Whether keys and queries, one by one, and the queries or weights of a tile (in turn) have a number that is no factor.
const ODD_TILE = ${rows + keys}u;
var<workgroup> odd: array<atomic<u32>, ${rows + keys + 2}>;

fn run(group: u32, lane: u32) {
  ${matrixPlaceOf(matrix)}
  let work = locate(group);
  let block = work.block;
  let kv_head = work.head;
  let group_heads = uniforms.heads / uniforms.kv_heads;
  let column0 = lane % CT;
  let own = lane / CT;
  let j0 = work.first;
  let j = j0 + i32(own);
  let own_row = kv_row(work, kv_head, min(j, block.k_length - 1));
  let range = visible_queries(block, j0, min(j0 + ROWS, block.k_length));
  for (var n = lane; n < ODD_TILE + 2u; n += WORKGROUP_SIZE) { atomicStore(&odd[n], 0u); }
  for (var n = lane; n < u32(KEYS); n += WORKGROUP_SIZE) { atomicStore(&d_o_tops[n], 0u); }
  for (var n = lane; n < u32(ROWS); n += WORKGROUP_SIZE) {
    atomicStore(&k_tops[n], 0u);
    atomicStore(&v_tops[n], 0u);
  }
  for (var n = lane; n < u32(ROWS) * KP; n += WORKGROUP_SIZE) { k_sums[n] = 0.0; }
  for (var n = lane; n < u32(ROWS) * VP; n += WORKGROUP_SIZE) { v_sums[n] = 0.0; }
  workgroupBarrier();
${loadFactors({ ...keyTile, target: 'k_tile', pitch: 'KP', quads: 'K4', value: 'k_at(k_row(work, kv_head, j0 + i32(row)), quad)' })}
${loadFactors({ ...keyTile, target: 'v_tile', pitch: 'VP', quads: 'V4', value: 'v_at(v_row(work, kv_head, j0 + i32(row)), quad)' })}
  var k_raised = raise_of(0u);
  var v_raised = raise_of(0u);
  var turn = 0u;
  for (var head = kv_head * group_heads; head < (kv_head + 1u) * group_heads; head++) {
    for (var first = range.x; first < range.y; first += KEYS) {
      let full = ${fullTile(variant, 'first', 'first + KEYS', 'j0', 'j0 + ROWS')};
      let columns = u32(min(KEYS, range.y - first));
      let odd_tile = ODD_TILE + turn;
      turn = 1u - turn;
${loadFactors({ ...queryTile, target: 'q_tile', pitch: 'KP', quads: 'K4', value: 'q_at(q_row(work, head, first + i32(row)), quad)' })}
${loadRaised(matrix, {
  ...{ ...queryTile, target: 'd_o_tile', rests: 'd_o_rests', tops: 'd_o_tops', pitch: 'VP' },
  ...{ quads: 'V4', value: 'd_o_at(o_row(work, head, first + i32(row)), quad)' },
})}
      for (var n = lane; n < columns; n += WORKGROUP_SIZE) {
        tile_stats[n] = row_stats[stats_row(work, head, first + i32(n))];
      }
      workgroupBarrier();
${overTiles(matrix, keys, rows, pairProduct(tile, ['q_tile'], 'k_tile', ['KP', kPadded], ['scores', 'PITCH']))}
${overTiles(matrix, keys, rows, pairProduct(tile, splitParts(matrix, ['d_o_tile', 'd_o_rests']), 'v_tile', ['VP', vPadded], ['value_products', 'PITCH']))}
      workgroupBarrier();
      var pairs = array<vec2f, TC>(); // weight, lowered by what its query is raised by, and dS
      var tops = vec2u(0u);
      for (var c = 0; c < TC; c++) {
        let column = column0 + CT * u32(c);
        let at = column * PITCH + own;
        let i = first + i32(column);
        let seen = i < range.y && (full || visible(block, i, j));
        let lowered = power(-raise_of(atomicLoad(&d_o_tops[column])));
        var products = vec2f(scores[at], value_products[at] * lowered);
        let of_query = atomicLoad(&odd[u32(ROWS) + column]);
        if (seen && (atomicLoad(&odd[own]) | of_query) != 0u) {
          products = vec2f(plain_dot(q_row(work, head, i), own_row + uniforms.first_key),
                           plain_value_dot(o_row(work, head, i), own_row + uniforms.first_value));
        }
        let pair = pair_of(work, head, i, j, seen, products, tile_stats[column]);
        value_products[at] = pair.x;
        scores[at] = pair.y;
        pairs[c] = vec2f(pair.x * lowered, pair.y);
        tops = max(tops, vec2u(top_of(vec4f(pairs[c].x, vec3f(0.0))), top_of(vec4f(pair.y, vec3f(0.0)))));
        if (of_query != 0u || is_odd(pair.x) || is_odd(pair.y)) { atomicOr(&odd[odd_tile], 1u); }
      }
      atomicMax(&v_tops[own], tops.x);
      atomicMax(&k_tops[own], tops.y);
      if (lane == 0u) { atomicStore(&odd[ODD_TILE + turn], 0u); }
      workgroupBarrier();
      let before = vec2i(v_raised, k_raised);
      v_raised = raise_of(atomicLoad(&v_tops[own]));
      k_raised = raise_of(atomicLoad(&k_tops[own]));
      let v_shrink = power(max(v_raised - before.x, -126));
      let k_shrink = power(max(k_raised - before.y, -126));
      for (var n = column0; n < VP; n += CT) { v_sums[own * VP + n] *= v_shrink; }
      for (var n = column0; n < KP; n += CT) { k_sums[own * KP + n] *= k_shrink; }
      for (var c = 0; c < TC; c++) {
        let at = own * WEIGHT_PITCH + column0 + CT * u32(c);
        let pair = pairs[c];
        ${putRaised(matrix, weights, 'at', ['pair.x', 'v_raised'])}
        ${putRaised(matrix, gradients, 'at', ['pair.y', 'k_raised'])}
      }
      for (var n = lane; n < u32(KEYS); n += WORKGROUP_SIZE) {
        atomicStore(&odd[u32(ROWS) + n], 0u);
        atomicStore(&d_o_tops[n], 0u);
      }
      workgroupBarrier();
${overTiles(
  matrix,
  rows,
  vPadded,
  [
    sumProduct(tile, split, outputs!, 'v_sums', 'VP'),
    ...(outputRests ? [sumProduct(tile, [weights[0]], outputRests, 'v_sums', 'VP')] : []),
  ].join('\n'),
)}
${overTiles(matrix, rows, kPadded, sumProduct(tile, splitParts(matrix, gradients), 'q_tile', 'k_sums', 'KP'))}
      workgroupBarrier();
      if (atomicLoad(&odd[odd_tile]) != 0u) {
${addOdd('v_sums', ['VP', 'V4', 'v_raised'], 'value_products', ['d_o_at(o_row(work, head, first + i32(column)), quad)', '(magnitudes(value) >= vec4u(NO_NUMBER))'])}
${addOdd('k_sums', ['KP', 'K4', 'k_raised'], 'scores', ['q_at(q_row(work, head, first + i32(column)), quad)', 'no_factors(value)'])}
      }
    }
  }
  workgroupBarrier();
  if (j >= block.k_length) { return; }
${putSums('dk_put(own_row + uniforms.first_key', 'k_sums', 'KP', 'K4', 'k_raised')}
${putSums('dv_put(own_row + uniforms.first_value', 'v_sums', 'VP', 'V4', 'v_raised')}
}`,
  };
}
