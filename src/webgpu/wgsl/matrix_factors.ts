// SPDX-License-Identifier: Apache-2.0
/**
 * Factors of subgroup matrices in workgroup memory: how tensors get there, and float32 numbers that are not exact as factors.
 *
 * The latter are split into a rounded part and the rest, and both are multiplied, which keeps 22 bits. Their rows are
 * raised before, by a power of two that brings the largest of the row to the top of float16's range, so that none
 * above 2^-39 of it is lost; results are lowered by the same power. A number that no factor can be (of query, key or
 * value: beyond 65,504; else infinite or NaN) is a zero in the products, and is noted in `odd`.
 */
import type { MatrixShape } from '../matrix_tile.js';

/** What fills `target`[row][number]: `value`, a quad, where `isThere`, of rows of `quads`; zeros elsewhere. */
export interface FactorTile {
  target: string;
  rows: string;
  pitch: string;
  value: string;
  isThere: string;
  quads: string;
  /** Place in `odd` that notes numbers that are no factors. */
  flag: string;
}

function eachQuad({ rows, pitch }: FactorTile, body: string): string {
  return /* wgsl */ `
    for (var n = lane; n < ${rows} * ${pitch} / 4u; n += WORKGROUP_SIZE) {
      let row = n / (${pitch} / 4u);
      let quad = n % (${pitch} / 4u);
      ${body}
    }`;
}

/** Statement that fills a tile with numbers that are factors as they are. */
export function loadFactors(tile: FactorTile): string {
  const { target, pitch, value, isThere, quads, flag } = tile;
  return eachQuad(
    tile,
    /* wgsl */ `var value = vec4f(0.0);
      if (${isThere} && quad < ${quads}) { value = ${value}; }
      let none = no_factors(value);
      if (any(none)) { atomicOr(&odd[${flag}], 1u); }
      value = select(value, vec4f(0.0), none);
      for (var c = 0u; c < 4u; c++) { ${target}[row * ${pitch} + 4u * quad + c] = factor(value[c]); }`,
  );
}

/** Functions of raised numbers; nothing is raised where factors are exact. */
export function raisedCode({ component }: MatrixShape): string {
  return /* wgsl */ `
const NO_NUMBER = 0x7f800000u;
fn magnitudes(value: vec4f) -> vec4u { return bitcast<vec4u>(value) & vec4u(0x7fffffffu); }
// Bits of the largest finite magnitude.
fn top_of(value: vec4f) -> u32 {
  let bits = select(magnitudes(value), vec4u(0u), magnitudes(value) >= vec4u(NO_NUMBER));
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}
// The power of two that brings a number with these bits to 2^14 and above, where a float32 can be that power.
fn raise_of(top: u32) -> i32 { return ${component === 'f16' ? 'min(100, 141 - i32(top >> 23u))' : '0'}; }
fn power(exponent: i32) -> f32 { return bitcast<f32>(u32(exponent + 127) << 23u); }
`;
}

/** Statements that fill a tile, and `rests`, with rows of any numbers, raised by raise_of of the row's `tops`. A barrier is in between. */
export function loadRaised(
  { component }: MatrixShape,
  tile: FactorTile & { rests: string; tops: string },
): string {
  if (component === 'f32') return loadFactors(tile);
  const { target, rests, tops, pitch, value, isThere, quads, flag } = tile;
  return /* wgsl */ `${eachQuad(
    tile,
    /* wgsl */ `if (${isThere} && quad < ${quads}) {
        let value = ${value};
        if (any(magnitudes(value) >= vec4u(NO_NUMBER))) { atomicOr(&odd[${flag}], 1u); }
        atomicMax(&${tops}[row], top_of(value));
      }`,
  )}
    workgroupBarrier();${eachQuad(
      tile,
      /* wgsl */ `var value = vec4f(0.0);
      if (${isThere} && quad < ${quads}) { value = ${value}; }
      value = select(value, vec4f(0.0), magnitudes(value) >= vec4u(NO_NUMBER));
      value *= power(raise_of(atomicLoad(&${tops}[row])));
      for (var c = 0u; c < 4u; c++) {
        let rounded = factor(value[c]);
        ${target}[row * ${pitch} + 4u * quad + c] = rounded;
        ${rests}[row * ${pitch} + 4u * quad + c] = factor(value[c] - f32(rounded));
      }`,
    )}`;
}

/** Statements that put a thread's number `value`, raised, into `target`[at], and what rounding took into `rests`. */
export function putRaised(
  { component }: MatrixShape,
  [target, rests]: readonly [string, string],
  at: string,
  [value, raise]: readonly [string, string],
): string {
  const finite = `select(${value}, 0.0, (bitcast<u32>(${value}) & 0x7fffffffu) >= NO_NUMBER)`;
  if (component === 'f32') return `${target}[${at}] = factor(${finite});`;
  return /* wgsl */ `{
        let raised = ${finite} * power(${raise});
        let rounded = factor(raised);
        ${target}[${at}] = rounded;
        ${rests}[${at}] = factor(raised - f32(rounded));
      }`;
}

/** The arrays that a split tile has, of the two names. */
export function splitParts<T>({ component }: MatrixShape, parts: readonly [T, T]): T[] {
  return component === 'f16' ? [...parts] : [parts[0]];
}

/** `body` for each matrix of a result of `rows` by `columns`, whose subgroups share them out: at `first_row`, `first_column`. */
export function overTiles(
  matrix: MatrixShape,
  rows: number,
  columns: number,
  body: string,
): string {
  const across = columns / matrix.columns;
  return /* wgsl */ `
      for (var n = subgroup; n < ${(rows / matrix.rows) * across}u; n += subgroups) {
        let first_row = (n / ${across}u) * ${matrix.rows}u;
        let first_column = (n % ${across}u) * ${matrix.columns}u;
        ${body}
      }`;
}
