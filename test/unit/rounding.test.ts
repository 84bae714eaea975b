// SPDX-License-Identifier: Apache-2.0
/** bfloat16 rounding and packing on the CPU. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  packBits,
  roundBits,
  roundToBFloat16Values,
  roundValues,
  unpackBits,
  widenBits,
} from '../../src/bf16/rounding.js';
import { packedLength, packedShape } from '../../src/spec/dtype.js';
import { readSafetensors } from '../support/safetensors.js';

function goldenBits(name: string): number[] {
  const { buffer, byteOffset, byteLength } = readFileSync(
    new URL('../golden/bf16.safetensors', import.meta.url),
  );
  const tensors = readSafetensors(buffer.slice(byteOffset, byteOffset + byteLength));
  return Array.from(tensors.get(name)!.values);
}

const isNaNBits = (bits: number): boolean => (bits & 0x7fff) > 0x7f80;

describe('bfloat16 rounding', () => {
  it('gives every golden bit pattern', () => {
    const rounded = goldenBits('f32_bits').map((bits) => roundBits(bits | 0));
    expect(rounded).to.deep.equal(goldenBits('bf16_bits'));
  });

  it('takes bits as signed and as unsigned numbers', () => {
    expect(roundBits(0xff800000)).to.equal(roundBits(0xff800000 | 0));
  });

  it('keeps NaN a NaN, and its sign', () => {
    for (const bits of goldenBits('nan_f32_bits')) {
      const rounded = roundBits(bits | 0);
      expect(isNaNBits(rounded), bits.toString(16)).to.equal(true);
      expect(rounded >>> 15).to.equal(bits >>> 31);
    }
  });

  it('rounds ties to even, past the largest value to infinity, and keeps subnormals', () => {
    const cases: [number, number][] = [
      [0x3f808000, 0x3f80],
      [0x3f818000, 0x3f82],
      [0x3f808001, 0x3f81],
      [0x7f7f8000, 0x7f80],
      [0x7f7f7fff, 0x7f7f],
      [0x00018000, 0x0002],
      [0x80000001, 0x8000],
    ];
    for (const [bits, want] of cases) expect(roundBits(bits | 0)).to.equal(want);
  });

  it('widens all 65,536 patterns to values that round to them, NaN quiet', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const quiet = all.map((bits) => (isNaNBits(bits) ? bits | 0x40 : bits));
    expect(roundValues(widenBits(all))).to.deep.equal(quiet);
  });

  it('rounds values in place of bits', () => {
    const rounded = roundToBFloat16Values(Float32Array.from([3.14159, -1, 0, 1e39]));
    expect(Array.from(rounded)).to.deep.equal([3.140625, -1, 0, Infinity]);
  });

  it('rounds a view that starts inside its buffer', () => {
    const values = new Float32Array([9, 1, 2]).subarray(1);
    expect(Array.from(roundValues(values))).to.deep.equal([0x3f80, 0x4000]);
  });
});

describe('bfloat16 packing', () => {
  it('puts the even element low and pads an odd axis with +0', () => {
    const packed = packBits(Uint16Array.from([1, 2, 3, 4, 5, 6]), 3);
    expect(Array.from(packed)).to.deep.equal([0x20001, 3, 0x50004, 6]);
  });

  for (const lastAxis of [1, 2, 5, 8]) {
    it(`unpacks what it packed · last axis ${lastAxis}`, () => {
      const bits = Uint16Array.from({ length: 3 * lastAxis }, (_, i) => 0xffff - i);
      const packed = packBits(bits, lastAxis);
      expect(packed.length).to.equal(3 * packedLength(lastAxis));
      expect(unpackBits(packed, lastAxis)).to.deep.equal(bits);
    });
  }

  it('packs nothing to nothing', () => {
    expect(packBits(new Uint16Array(0), 0).length).to.equal(0);
    expect(unpackBits(new Int32Array(0), 0).length).to.equal(0);
  });

  it('knows the packed shape', () => {
    expect(packedShape([2, 3, 5])).to.deep.equal([2, 3, 3]);
    expect(packedShape([4, 0])).to.deep.equal([4, 0]);
    expect(packedShape([])).to.deep.equal([1]);
  });
});
