// SPDX-License-Identifier: Apache-2.0
/** The intervals of spec/mask.ts against its own `visible`, over every small shape. */
import { expect } from 'chai';
import {
  NO_MASK,
  UNBOUNDED,
  blocksOf,
  diagonalShift,
  keyRow,
  visible,
  visibleKeys,
  visibleQueries,
} from '../../src/spec/mask.js';
import type { Interval, MaskPlan } from '../../src/spec/mask.js';

const SIDES = [0, 1, 3, UNBOUNDED];
const LONGEST = 6;

function* plans(): Generator<MaskPlan> {
  for (const windowLeft of SIDES) {
    for (const windowRight of SIDES) {
      yield { windowLeft, windowRight, align: 'topLeft' };
      yield { windowLeft, windowRight, align: 'bottomRight' };
    }
  }
}

function* lengths(): Generator<[number, number]> {
  for (let q = 0; q <= LONGEST; q++) for (let k = 0; k <= LONGEST; k++) yield [q, k];
}

function* ranges(length: number): Generator<[number, number]> {
  for (let a = 0; a < length; a++) for (let b = a + 1; b <= length; b++) yield [a, b];
}

const numbers = (begin: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - begin) }, (_, i) => begin + i);

const members = ({ begin, end }: Interval): number[] => numbers(begin, end);

describe('mask plan', () => {
  it('visibleKeys is what its queries see, no more and no less', () => {
    for (const plan of plans()) {
      for (const [q, k] of lengths()) {
        for (const [i0, i1] of ranges(q)) {
          const seen = numbers(0, k).filter((j) =>
            numbers(i0, i1).some((i) => visible(plan, i, j, q, k)),
          );
          const found = members(visibleKeys(plan, i0, i1, q, k));
          expect(found, `${JSON.stringify(plan)} ${q}x${k} ${i0}..${i1}`).to.deep.equal(seen);
        }
      }
    }
  });

  it('visibleQueries is who sees its keys, no more and no less', () => {
    for (const plan of plans()) {
      for (const [q, k] of lengths()) {
        for (const [j0, j1] of ranges(k)) {
          const seeing = numbers(0, q).filter((i) =>
            numbers(j0, j1).some((j) => visible(plan, i, j, q, k)),
          );
          const found = members(visibleQueries(plan, j0, j1, q, k));
          expect(found, `${JSON.stringify(plan)} ${q}x${k} ${j0}..${j1}`).to.deep.equal(seeing);
        }
      }
    }
  });

  it('visible, by hand: window 1 to the left and 2 to the right', () => {
    const rows = (align: MaskPlan['align'], q: number, k: number) =>
      numbers(0, q).map((i) =>
        numbers(0, k)
          .map((j) => Number(visible({ windowLeft: 1, windowRight: 2, align }, i, j, q, k)))
          .join(''),
      );
    expect(rows('topLeft', 3, 5)).to.deep.equal(['11100', '11110', '01111']);
    expect(rows('bottomRight', 3, 5)).to.deep.equal(['01111', '00111', '00011']);
    expect(rows('bottomRight', 4, 2)).to.deep.equal(['10', '11', '11', '11']);
  });

  it('no key outside the block is visible, also without a mask', () => {
    expect(visible(NO_MASK, 0, -1, 1, 3)).to.equal(false);
    expect(visible(NO_MASK, 0, 2, 1, 3)).to.equal(true);
    expect(visible(NO_MASK, 0, 3, 1, 3)).to.equal(false);
  });

  it('unbounded windows stay whole int32 numbers next to long tensors', () => {
    const length = 0x3fffffff;
    const { begin, end } = visibleKeys(NO_MASK, 0, length, length, length);
    expect([begin, end]).to.deep.equal([0, length]);
    expect(UNBOUNDED + length).to.be.below(2 ** 31);
  });

  it('the diagonal moves by the lengths of the block', () => {
    expect(diagonalShift('topLeft', 3, 5)).to.equal(0);
    expect(diagonalShift('bottomRight', 3, 5)).to.equal(2);
    expect(diagonalShift('bottomRight', 5, 3)).to.equal(-2);
  });

  it('blocks and pages say where rows lie', () => {
    const single = { index: 0, qStart: 0, qLength: 4, kStart: 0, kLength: 7 };
    expect(blocksOf(NO_MASK, 4, 7)).to.deep.equal([single]);
    const blocks = { qStart: [0, 2, 3], kStart: [1, 8], kLength: [4, 3] };
    const packed = { ...NO_MASK, blocks };
    const second = { index: 1, qStart: 2, qLength: 1, kStart: 8, kLength: 3 };
    expect(blocksOf(packed, 3, 11)[1]).to.deep.equal(second);
    expect(keyRow(packed, second, 2)).to.equal(10);
    const table = [
      [0, 1],
      [5, 3],
    ];
    const paged = { ...packed, pages: { table, pageSize: 2 } };
    expect([0, 1, 2].map((j) => keyRow(paged, second, j))).to.deep.equal([10, 11, 6]);
  });
});
