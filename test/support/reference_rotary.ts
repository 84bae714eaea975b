// SPDX-License-Identifier: Apache-2.0
/** Rotary embedding in float64, pair by pair as a product of complex numbers. */

export interface ReferenceRotary {
  readonly base?: number;
  readonly dim?: number;
  readonly interleaved?: boolean;
  /** Of pair i, instead of base^(-2i / dim). */
  readonly frequencies?: readonly number[];
  /** Factor of what turns. 1. */
  readonly factor?: number;
}

/** x [rows of one position: B, M, H, K], where `positionOf(b, m)` is a row's position. */
export function referenceRotary(
  x: ArrayLike<number>,
  [batch, length, heads, width]: readonly [number, number, number, number],
  positionOf: (b: number, m: number) => number,
  rotary: ReferenceRotary = {},
): Float64Array {
  const { base = 10000, dim = width, interleaved = false, factor = 1 } = rotary;
  const output = Float64Array.from(x);
  for (let row = 0; row < batch * length * heads; row++) {
    const token = Math.floor(row / heads);
    const position = positionOf(Math.floor(token / length), token % length);
    for (let i = 0; i < dim / 2; i++) {
      const frequency = rotary.frequencies?.[i] ?? 1 / base ** ((2 * i) / dim);
      const [at, to] = interleaved ? [2 * i, 2 * i + 1] : [i, i + dim / 2];
      const [re, im] = [x[row * width + at]!, x[row * width + to]!];
      const [cos, sin] = [Math.cos(position * frequency), Math.sin(position * frequency)];
      output[row * width + at] = factor * (re * cos - im * sin);
      output[row * width + to] = factor * (re * sin + im * cos);
    }
  }
  return output;
}
