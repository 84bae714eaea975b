// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { foldGrid } from '../../src/webgpu/dispatcher.js';
import { attentionStorage, attentionTile, isDirect, threadsOf } from '../../src/webgpu/tuning.js';
import type { AttentionPass, DeviceFacts } from '../../src/webgpu/tuning.js';

const BASELINE: DeviceFacts = {
  software: false,
  workgroupStorage: 16384,
  maxInvocations: 256,
  quads: false,
  matrices: [],
};
const PASSES: AttentionPass[] = ['forward', 'dq', 'dkdv'];

describe('WebGPU tuning', () => {
  it('attention tiles fit the smallest device that WebGPU allows, for every head size', () => {
    for (const pass of PASSES) {
      for (let size = 1; size <= 256; size++) {
        const tile = attentionTile(BASELINE, pass, size, size);
        const quads = Math.ceil(size / 4);
        expect(attentionStorage(pass, tile, quads, quads), `${pass}, D ${size}`).to.be.at.most(
          16384,
        );
        expect(threadsOf(tile)).to.be.at.most(256);
        expect(tile.rows % tile.threadRows).to.equal(0);
        expect(tile.keys % tile.columnThreads).to.equal(0);
      }
    }
  });

  it('more workgroup memory gives a larger tile', () => {
    const small = attentionTile(BASELINE, 'forward', 64, 64);
    const large = attentionTile({ ...BASELINE, workgroupStorage: 32768 }, 'forward', 64, 64);
    expect(large.rows * large.keys).to.be.above(small.rows * small.keys);
  });

  it('software adapters get programs without barriers', () => {
    const facts = { ...BASELINE, software: true };
    for (const pass of PASSES) expect(isDirect(attentionTile(facts, pass, 64, 64))).to.equal(true);
    expect(isDirect(attentionTile(BASELINE, 'forward', 64, 64))).to.equal(false);
    expect(attentionTile(facts, 'forward', 64, 64).quads).to.equal(false);
    expect(attentionTile({ ...facts, quads: true }, 'forward', 64, 64).quads).to.equal(true);
  });

  it('a folded grid holds all groups and no side is over the limit', () => {
    expect(foldGrid(1, 65535)).to.deep.equal([1, 1]);
    expect(foldGrid(65535, 65535)).to.deep.equal([65535, 1]);
    for (const groups of [65536, 65537, 1000003, 2 ** 31]) {
      const [x, y] = foldGrid(groups, 65535);
      expect(x * y).to.be.within(groups, groups + x);
      expect(Math.max(x, y)).to.be.at.most(65535);
    }
  });
});
