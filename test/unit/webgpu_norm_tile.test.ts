// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  normBlockRows,
  normColumnSumTile,
  normColumnTile,
  normSegments,
  normTile,
  otherNormTiles,
} from '../../src/webgpu/norm_tile.js';
import type { NormTile } from '../../src/webgpu/norm_tile.js';
import type { DeviceFacts } from '../../src/webgpu/tuning.js';

const BASELINE: DeviceFacts = {
  software: false,
  workgroupStorage: 16384,
  maxInvocations: 256,
  quads: false,
  matrices: [],
};
const SOFTWARE = { ...BASELINE, software: true };
const COLUMNS = [1, 3, 4, 17, 64, 128, 768, 1000, 1024, 4096, 8192, 8193, 65536, 1000003];

/** Values of a row that a tile's threads hold, and what of them is unused. */
function capacity(tile: NormTile): number {
  return tile.by === 'lanes' ? 4 * tile.lanes * tile.quads : Infinity;
}

describe('WebGPU norm tiles', () => {
  it('software adapters share nothing between threads', () => {
    expect(normTile(SOFTWARE, 768)).to.deep.equal({ by: 'blocks' });
    expect(normTile(SOFTWARE, 767)).to.deep.equal({ by: 'thread' });
    expect(otherNormTiles(SOFTWARE, 768)).to.be.empty;
    expect(normColumnTile(SOFTWARE, 768).lanes).to.equal(1);
    expect(normColumnSumTile(SOFTWARE).lanes).to.equal(1);
  });

  it('short rows share a workgroup, longer ones have more threads, and the longest are cut', () => {
    expect(normTile(BASELINE, 64)).to.deep.equal({ by: 'lanes', lanes: 8, quads: 2 });
    expect(normTile(BASELINE, 128)).to.deep.equal({ by: 'lanes', lanes: 16, quads: 2 });
    expect(normTile(BASELINE, 768)).to.deep.equal({ by: 'lanes', lanes: 128, quads: 2 });
    expect(normTile(BASELINE, 4096)).to.deep.equal({ by: 'lanes', lanes: 256, quads: 4 });
    expect(normTile(BASELINE, 8192)).to.deep.equal({ by: 'lanes', lanes: 256, quads: 8 });
    expect(normTile(BASELINE, 8193)).to.deep.equal({ by: 'segments', lanes: 256 });
    const small = { ...BASELINE, maxInvocations: 64 };
    expect(normTile(small, 2048)).to.deep.equal({ by: 'lanes', lanes: 64, quads: 8 });
    expect(normTile(small, 2049)).to.deep.equal({ by: 'segments', lanes: 64 });
  });

  it('every tile holds the row, in a power of two of threads that fit a workgroup', () => {
    for (const maxInvocations of [64, 256, 1024]) {
      const facts = { ...BASELINE, maxInvocations };
      for (const columns of COLUMNS) {
        for (const tile of [normTile(facts, columns), ...otherNormTiles(facts, columns)]) {
          if (tile.by !== 'lanes' && tile.by !== 'segments') throw new Error(tile.by);
          expect(capacity(tile), `C ${columns}`).to.be.at.least(columns);
          expect(Math.log2(tile.lanes) % 1).to.equal(0);
          expect(tile.lanes).to.be.at.most(Math.min(256, maxInvocations));
          if (tile.by === 'lanes') expect(tile.quads).to.be.within(1, 8);
        }
      }
    }
  });

  it('what may be measured instead has the preferred tile among it, if it fits registers, and segments', () => {
    expect(otherNormTiles(BASELINE, 1024)).to.deep.include.members([
      normTile(BASELINE, 1024),
      { by: 'segments', lanes: 256 },
      { by: 'lanes', lanes: 256, quads: 1 },
      { by: 'lanes', lanes: 32, quads: 8 },
    ]);
    expect(otherNormTiles(BASELINE, 64)).not.to.deep.include({ by: 'segments', lanes: 256 });
    expect(otherNormTiles(BASELINE, 65536)).to.deep.equal([{ by: 'segments', lanes: 256 }]);
  });

  it('segments cover the row, are many where rows are few, and never too many to add up', () => {
    for (const rows of [1, 4, 100, 100000]) {
      for (const columns of [8193, 65536, 1000003, 2 ** 24]) {
        const { segments, quads } = normSegments(256, rows, columns);
        const rowQuads = Math.ceil(columns / 4);
        expect(segments * quads).to.be.at.least(rowQuads);
        expect((segments - 1) * quads).to.be.below(rowQuads);
        expect(quads % 256).to.equal(0);
        expect(segments).to.be.at.most(256);
      }
    }
    expect(normSegments(256, 4, 65536).segments).to.equal(32);
    expect(normSegments(256, 100000, 65536).segments).to.equal(8);
  });

  it("the weights' gradients: columns that the row has, whole workgroups, blocks of many rows", () => {
    expect(normColumnTile(BASELINE, 64)).to.deep.equal({ columns: 16, lanes: 16 });
    expect(normColumnTile(BASELINE, 1)).to.deep.equal({ columns: 1, lanes: 256 });
    expect(normColumnTile(BASELINE, 4096)).to.deep.equal({ columns: 64, lanes: 4 });
    expect(normColumnSumTile(BASELINE)).to.deep.equal({ columns: 4, lanes: 64 });
    for (const facts of [BASELINE, { ...BASELINE, maxInvocations: 64 }]) {
      for (const columns of COLUMNS) {
        const tile = normColumnTile(facts, columns);
        expect(tile.columns * tile.lanes).to.equal(facts.maxInvocations);
        for (const rows of [1, 8, 4096, 262144]) {
          const block = normBlockRows(facts, tile, rows, columns);
          // Enough rows for every lane, and so few blocks that their sums are small beside the rows.
          expect(block).to.be.at.least(8 * tile.lanes);
          expect(Math.ceil(rows / block)).to.be.at.most(1024);
        }
      }
    }
  });

  it('row blocks of a software adapter are neither tiny nor the whole matrix', () => {
    const tile = normColumnTile(SOFTWARE, 768);
    expect(normBlockRows(SOFTWARE, tile, 8, 768)).to.equal(32);
    expect(normBlockRows(SOFTWARE, tile, 65537, 768)).to.equal(257);
  });
});
