// SPDX-License-Identifier: Apache-2.0
/** float32, float16 and bfloat16 bytes, little endian, as float32 values; every one of the halves is exact in float32. */

/** Bytes of an element, by the names that safetensors has. */
export const FLOAT_BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

function fromBFloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Sign, 5 bits of exponent, 10 bits of fraction. */
function valueOfFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  // Below 2^-14 the exponent stays and the leading 1 is gone.
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let float16Values: Float32Array | undefined;

function fromFloat16(bits: Uint16Array): Float32Array {
  float16Values ??= Float32Array.from({ length: 65536 }, (_, each) => valueOfFloat16(each));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16Values[bits[i]!]!;
  return values;
}

/** The values of a tensor's bytes; `dtype` is a key of FLOAT_BYTES. */
export function floatValues(dtype: string, bytes: ArrayBuffer): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes);
  const bits = new Uint16Array(bytes);
  return dtype === 'BF16' ? fromBFloat16(bits) : fromFloat16(bits);
}
