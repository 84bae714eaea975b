// SPDX-License-Identifier: Apache-2.0
/** Numbers that float16 and bfloat16 have exactly, as their bits. */

const word = new DataView(new ArrayBuffer(4));

/** @throws RangeError for a value that would be rounded */
export function toBFloat16Bits(value: number): number {
  word.setFloat32(0, value);
  if (word.getUint16(2) !== 0) throw new RangeError(`bfloat16 does not have ${value}`);
  return word.getUint16(0);
}

/** The same of float16, normal values only. */
export function toFloat16Bits(value: number): number {
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (value === 0) return sign;
  const exponent = ((bits >>> 23) & 255) - 127 + 15;
  if (exponent < 1 || exponent > 30 || (bits & 0x1fff) !== 0) {
    throw new RangeError(`float16 does not have ${value} among its normal values`);
  }
  return sign | (exponent << 10) | ((bits >>> 13) & 1023);
}
