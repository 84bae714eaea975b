// SPDX-License-Identifier: Apache-2.0
/**
 * bfloat16 on the CPU, by integer arithmetic on the bits (so subnormals survive everywhere).
 * A bfloat16 is the high half of a float32; rounding is to nearest, ties to even.
 */
import { packedLength } from '../spec/dtype.js';

const EXPONENT = 0x7f800000;
const MAGNITUDE = 0x7fffffff;
const QUIET = 0x0040;

/** The 16 bits that a float32, given by its bits, rounds to. NaN stays NaN and becomes quiet. */
export function roundBits(bits: number): number {
  if ((bits & MAGNITUDE) > EXPONENT) return ((bits >>> 16) & 0xffff) | QUIET;
  const lastKept = (bits >>> 16) & 1;
  return ((bits + 0x7fff + lastKept) >>> 16) & 0xffff;
}

/** float32 values -> their bfloat16 bits, one to an element. */
export function roundValues(values: Float32Array): Uint16Array {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const rounded = new Uint16Array(bits.length);
  // Not Uint16Array.from, whose call of a function for each value takes several times as long.
  for (let i = 0; i < bits.length; i++) rounded[i] = roundBits(bits[i]!);
  return rounded;
}

/** bfloat16 bits -> the float32 values that they are. */
export function widenBits(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Two values to a word along the last axis: the even element in the low half. */
export function packBits(bits: Uint16Array, lastAxis: number): Int32Array {
  const words = packedLength(lastAxis);
  const rows = lastAxis === 0 ? 0 : bits.length / lastAxis;
  const packed = new Int32Array(rows * words);
  for (let row = 0; row < rows; row++) {
    for (let word = 0; word < words; word++) {
      const at = row * lastAxis + 2 * word;
      const high = 2 * word + 1 < lastAxis ? bits[at + 1]! : 0;
      packed[row * words + word] = bits[at]! | (high << 16);
    }
  }
  return packed;
}

/** The reverse of packBits: `size` values, row-major, without padding. */
export function unpackBits(packed: Int32Array, lastAxis: number): Uint16Array {
  const words = packedLength(lastAxis);
  const rows = words === 0 ? 0 : packed.length / words;
  const bits = new Uint16Array(rows * lastAxis);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < lastAxis; i++) {
      const word = packed[row * words + (i >> 1)]!;
      bits[row * lastAxis + i] = i % 2 === 0 ? word & 0xffff : word >>> 16;
    }
  }
  return bits;
}

/** Rounds float32 values to the nearest bfloat16 without leaving float32. */
export function roundToBFloat16Values(values: Float32Array): Float32Array {
  return widenBits(roundValues(values));
}
