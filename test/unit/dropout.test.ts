// SPDX-License-Identifier: Apache-2.0
/** The dropout mask: its bits, computed elsewhere in arbitrary precision, and its statistics. */
import { expect } from 'chai';
import { dropThreshold, isKept, mix, rowKey } from '../../src/spec/dropout.js';

type Coordinates = [seed: number, b: number, h: number, i: number];

function bitsOfRow(key: number, threshold: number, length: number): string {
  return Array.from({ length }, (_, j) => (isKept(key, j, threshold) ? '1' : '0')).join('');
}

describe('dropout bits', () => {
  it('mixes 32-bit integers as lowbias32 does', () => {
    const mixed = [0, 1, 2, 0xffffffff, 0x12345678].map(mix);
    expect(mixed).to.deep.equal([0, 0x688990c0, 0xd1132181, 0x6768824a, 0xf5e71c96]);
  });

  const rows: [Coordinates, number, string][] = [
    [[0, 0, 0, 0], 0xe6e72839, '111111111110011111110110101110010010011111111011'],
    [[7, 0, 0, 0], 0xcfe90682, '110011101110111110101111011111001100110010001111'],
    [[7, 1, 2, 3], 0xb267ecea, '110111111101111111001101000111111110111010100101'],
    [[0xffffffff, 3, 31, 70000], 0x90fac509, '101111111110110111011111111111100011000111111111'],
  ];
  for (const [at, key, bits] of rows) {
    it(`keeps the right keys of seed, b, h, i = ${at.join(', ')} at p = 0.3`, () => {
      expect(rowKey(...at)).to.equal(key);
      expect(bitsOfRow(key, dropThreshold(0.3), bits.length)).to.equal(bits);
    });
  }

  it('takes the threshold from p, and keeps everything at 0', () => {
    expect([0, 0.3, 0.5, 0.999999].map(dropThreshold)).to.deep.equal([
      0, 1288490188, 2147483648, 4294963001,
    ]);
    expect(bitsOfRow(rowKey(1, 2, 3, 4), 0, 64)).to.equal('1'.repeat(64));
  });

  it('takes a seed as an unsigned number', () => {
    expect(rowKey(-1, 0, 0, 0)).to.equal(rowKey(0xffffffff, 0, 0, 0));
  });

  for (const p of [0.1, 0.5, 0.9]) {
    it(`drops a share of ${p}`, () => {
      const threshold = dropThreshold(p);
      let kept = 0;
      for (let i = 0; i < 200; i++) {
        const key = rowKey(11, 0, 0, i);
        for (let j = 0; j < 500; j++) if (isKept(key, j, threshold)) kept++;
      }
      // Four standard deviations of 100,000 draws.
      expect(Math.abs(kept / 100000 - (1 - p))).to.be.below(4 * Math.sqrt((p * (1 - p)) / 100000));
    });
  }

  it('is uncorrelated between seeds, batch items, heads, queries and keys', () => {
    const threshold = dropThreshold(0.5);
    const length = 20000;
    const first = bitsOfRow(rowKey(5, 1, 2, 3), threshold, length);
    const others = [rowKey(6, 1, 2, 3), rowKey(5, 2, 2, 3), rowKey(5, 1, 3, 3), rowKey(5, 1, 2, 4)]
      .map((key) => bitsOfRow(key, threshold, length))
      .concat(first.slice(1) + first[0]!, first.slice(2) + first.slice(0, 2));
    for (const other of others) {
      const same = Array.from(first).filter((bit, j) => bit === other[j]).length;
      expect(Math.abs(same / length - 0.5)).to.be.below(4 * Math.sqrt(0.25 / length));
    }
  });
});
