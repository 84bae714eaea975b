// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { attnBias } from '../../src/index.js';
import { keyTiles, layoutOf, queryTiles } from '../../src/webgpu/schedule.js';
import type { Schedule } from '../../src/webgpu/schedule.js';
import { NO_MASK } from '../../src/spec/mask.js';

/** The rows that the tiles of a schedule cover, as often as they cover them. */
function covered(schedule: Schedule, axis: 'queries' | 'keys', rows: number): number[] {
  const { integers, tiles, blockOffset } = schedule;
  const seen: number[] = [];
  for (let tile = 0; tile < tiles; tile++) {
    const block = blockOffset + 5 * integers[2 * tile]!;
    const first = integers[2 * tile + 1]!;
    const [start, length] =
      axis === 'queries'
        ? [integers[block]!, integers[block + 1]!]
        : [integers[block + 2]!, integers[block + 3]!];
    for (let i = first; i < Math.min(first + rows, length); i++) seen.push(start + i);
  }
  return seen.sort((a, b) => a - b);
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('WebGPU schedule', () => {
  it('covers every packed query once', () => {
    const plan = attnBias.BlockDiagonalMask.fromSeqlens([7, 1, 10, 0, 33]).plan(51, 51);
    const schedule = queryTiles(plan, 51, 51, 16);
    expect(schedule.tiles).to.equal(1 + 1 + 1 + 0 + 3);
    expect(covered(schedule, 'queries', 16)).to.deep.equal(range(51));
  });

  it('covers every key once, those that no block uses too', () => {
    const plan = attnBias.BlockDiagonalGappyKeysMask.fromSeqlens(
      [2, 3, 1],
      [1, 9, 20, 30],
      [5, 8, 4],
    ).plan(6, 30);
    expect(covered(keyTiles(plan, 6, 30, 4), 'keys', 4)).to.deep.equal(range(30));
  });

  it('places the blocks and the page table where the offsets say', () => {
    const plan = attnBias.PagedBlockDiagonalPaddedKeysMask.fromSeqlens(
      [2, 1],
      [5, 3],
      [
        [3, 1],
        [0, 2],
      ],
      4,
    ).plan(3, 16);
    const { integers, tiles, blockOffset, tableOffset } = queryTiles(plan, 3, 16, 2);
    expect(layoutOf(plan)).to.equal('paged');
    expect(tiles).to.equal(2);
    expect([...integers.slice(0, blockOffset)]).to.deep.equal([0, 0, 1, 0]);
    expect([...integers.slice(blockOffset, tableOffset)]).to.deep.equal([
      0, 2, 0, 5, 0, 2, 1, 0, 3, 2,
    ]);
    expect([...integers.slice(tableOffset)]).to.deep.equal([3, 1, 0, 2]);
  });

  it('a mask without blocks needs no schedule', () => {
    expect(layoutOf(NO_MASK)).to.equal('dense');
  });
});
