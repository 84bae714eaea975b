// SPDX-License-Identifier: Apache-2.0
/** When attention of few queries is shared out over the keys, and its programs. */
import { expect } from 'chai';
import { NO_MASK } from '../../src/spec/mask.js';
import { attentionSplitDirectProgram } from '../../src/webgpu/programs/attention_split_direct.js';
import { attentionSplitMergeProgram } from '../../src/webgpu/programs/attention_split_merge.js';
import { attentionSplitProgram } from '../../src/webgpu/programs/attention_split.js';
import { sourceOf } from '../../src/webgpu/program.js';
import { groupedTiles } from '../../src/webgpu/schedule.js';
import { splitShape, splitSpans, splitStorage, splitTile } from '../../src/webgpu/split_tile.js';

const GPU = {
  software: false,
  workgroupStorage: 16384,
  maxInvocations: 256,
  quads: false,
  matrices: [],
};
const SOFTWARE = { ...GPU, software: true };
const DIMS = {
  batch: 1,
  queries: 1,
  keys: 4096,
  heads: 32,
  kvHeads: 8,
  keyDim: 128,
  valueDim: 128,
};
const DECODING = splitShape(NO_MASK, DIMS);

describe('WebGPU attention of few queries', () => {
  it('a row for each query and head of a group; keys that the mask can show', () => {
    expect(DECODING).to.deep.equal({ queries: 1, items: 8, rows: 4, keys: 4096 });
    const window = { ...NO_MASK, windowLeft: 100, windowRight: 0 };
    expect(splitShape(window, { ...DIMS, queries: 3 })).to.include({
      queries: 3,
      rows: 12,
      keys: 103,
    });
    const blocks = { qStart: [0, 2, 3], kStart: [0, 64], kLength: [7, 50] };
    expect(splitShape({ ...NO_MASK, blocks }, { ...DIMS, queries: 3 })).to.deep.equal({
      ...{ queries: 2, items: 16, rows: 8, keys: 50 },
    });
  });

  it('many queries, or no keys, are not shared out', () => {
    for (const facts of [GPU, SOFTWARE]) {
      expect(splitTile(facts, DECODING)).not.to.equal(null);
      expect(splitTile(facts, { ...DECODING, queries: 17, rows: 68 })).to.equal(null);
      expect(splitTile(facts, { ...DECODING, keys: 1 })).to.deep.equal(splitTile(facts, DECODING));
      expect(splitTile(facts, { ...DECODING, keys: 0 })).to.equal(null);
    }
    expect(splitTile(GPU, { ...DECODING, queries: 16, rows: 16 })).not.to.equal(null);
    expect(splitTile({ ...GPU, maxInvocations: 32 }, DECODING)).to.equal(null);
  });

  it('tiles fit the device, and every thread has keys, weights and a quad', () => {
    for (const [workgroupStorage, maxInvocations] of [
      [16384, 256],
      [16384, 128],
      [8192, 64],
    ] as const) {
      for (const rows of [1, 2, 3, 4, 7, 16, 100]) {
        const facts = { ...GPU, workgroupStorage, maxInvocations };
        const tile = splitTile(facts, { ...DECODING, rows })!;
        expect(splitStorage(tile), `${rows} rows`).to.be.at.most(workgroupStorage);
        expect(tile.threads).to.be.within(64, maxInvocations);
        expect(tile.rows).to.be.at.least(Math.min(16, rows));
        for (const whole of [
          (tile.keys * tile.columnThreads) / tile.threads,
          (tile.keys * tile.rows) / tile.threads,
          tile.threads / tile.rows,
        ]) {
          expect(whole % 1, `${rows} rows`).to.equal(0);
          expect(whole).to.be.above(0);
        }
      }
    }
  });

  it('spans hold all keys, none is empty, and few pieces of work mean more spans', () => {
    for (const facts of [GPU, SOFTWARE]) {
      for (const items of [1, 8, 5000]) {
        for (const keys of [1, 63, 128, 129, 4096, 32768, 1000003]) {
          const shape = { ...DECODING, items, keys };
          const { splits, span } = splitSpans(facts, splitTile(facts, shape)!, shape);
          expect(splits * span, `${items}, ${keys}`).to.be.at.least(keys);
          expect((splits - 1) * span).to.be.below(keys);
        }
      }
      const spansOf = (items: number) => {
        const shape = { ...DECODING, items };
        return splitSpans(facts, splitTile(facts, shape)!, shape).splits;
      };
      expect(spansOf(1)).to.be.above(spansOf(64)).and.above(1);
      expect(spansOf(5000)).to.equal(facts.software ? 4 : 1);
    }
  });

  it('tiles are of rows of a block: its queries, times the heads of a group', () => {
    const blocks = { qStart: [0, 2, 2, 3], kStart: [0, 0, 0], kLength: [9, 9, 9] };
    const { integers, tiles } = groupedTiles({ ...NO_MASK, blocks }, 3, 9, 4, 4);
    expect(tiles).to.equal(3);
    expect([...integers.slice(0, 6)]).to.deep.equal([0, 0, 0, 4, 2, 0]);
  });

  it('declares the workgroup memory that the tile was chosen by, and at most eight buffers', () => {
    const common = { k: 31, v: 64, dtype: 'bfloat16', softcap: true, dropout: true } as const;
    for (const [layout, bias] of [
      ['dense', 'float'],
      ['paged', 'none'],
    ] as const) {
      const tile = splitTile(GPU, DECODING)!;
      const program = attentionSplitProgram({ ...common, layout, bias, tile });
      const declared = sourceOf(program).matchAll(/var<workgroup> \w+: array<f32, (\d+)>/g);
      expect([...declared].reduce((sum, [, size]) => sum + 4 * Number(size), 0)).to.equal(
        splitStorage(tile),
      );
      const direct = { ...common, layout, bias, tile: splitTile(SOFTWARE, DECODING)! };
      const merge = { v: 64, output: 'float32', sink: true, layout, rows: 4, slices: 8 } as const;
      for (const { bindings } of [
        program,
        attentionSplitDirectProgram(direct),
        attentionSplitMergeProgram(merge),
      ]) {
        expect(bindings.length).to.be.at.most(8);
      }
    }
  });
});
