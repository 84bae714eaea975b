// SPDX-License-Identifier: Apache-2.0
/** What autotune decides by: candidates, a contest with times that are given, and what a store holds. */
import { expect } from 'chai';
import { NO_MASK } from '../../src/spec/mask.js';
import { attentionChoice, candidatesOf, normChoice, pick } from '../../src/webgpu/candidates.js';
import { contest, readEntry } from '../../src/webgpu/measuring.js';
import { isSplit, splitStorage } from '../../src/webgpu/split_tile.js';
import { attentionStorage, threadsOf } from '../../src/webgpu/tuning.js';
import type { AttentionPass } from '../../src/webgpu/tuning.js';

const GPU = {
  software: false,
  workgroupStorage: 16384,
  maxInvocations: 256,
  quads: true,
  matrices: [],
};
const SOFTWARE = { ...GPU, software: true };
const DIMS = { batch: 1, queries: 512, keys: 512, heads: 8, kvHeads: 2, keyDim: 64, valueDim: 64 };
const choiceOf = (facts = GPU, pass: AttentionPass = 'forward', dims = DIMS) =>
  attentionChoice(facts, pass, 'float32', 'dense, bias none', NO_MASK, dims);

/** A contest of candidates that take these seconds, round by round; and who had a turn. */
async function contestOf(...rounds: number[][]) {
  const turns: number[] = [];
  const clock = (n: number) => {
    const round = turns.filter((turn) => turn === n).length;
    turns.push(n);
    const seconds = rounds[Math.min(round, rounds.length - 1)]![n]!;
    return seconds > 0 ? Promise.resolve(seconds) : Promise.reject(new Error('refused'));
  };
  return { ...(await contest(rounds[0]!.length, clock)), turns };
}

describe('WebGPU autotune', () => {
  it('the fastest wins, by its best round', async () => {
    const { winner, seconds } = await contestOf([10, 12, 9], [9, 3, 8.8], [9, 7, 8.7]);
    expect(winner).to.equal(1);
    expect(seconds).to.deep.equal([9, 3, 9]); // from round 2 on the third is too slow
  });

  it('the preferred one stays unless another is clearly better', async () => {
    expect((await contestOf([10, 9.8])).winner).to.equal(0);
    expect((await contestOf([10, 9.6])).winner).to.equal(1);
  });

  it('what is far slower has one turn, and what fails none that counts', async () => {
    const { winner, turns, seconds } = await contestOf([10, 40, -1, 8]);
    expect(winner).to.equal(3);
    expect(turns).to.deep.equal([0, 1, 2, 3, 0, 3, 0, 3]);
    expect(seconds[2]).to.equal(Infinity);
    expect((await contestOf([-1, -1])).winner).to.equal(0);
    expect((await contestOf([-1, 5])).winner).to.equal(1);
  });

  it('every candidate runs on the device; the preferred one comes first, none comes twice', () => {
    for (const facts of [GPU, SOFTWARE, { ...GPU, workgroupStorage: 8192, maxInvocations: 64 }]) {
      for (const pass of ['forward', 'dq', 'dkdv'] as const) {
        for (const queries of [1, 16, 512]) {
          for (const size of [31, 64, 128, 256]) {
            const dims = { ...DIMS, queries, keyDim: size, valueDim: size };
            const choice = choiceOf(facts, pass, dims);
            const candidates = candidatesOf(choice);
            const where = `${pass}, ${queries} queries of ${size}`;
            expect(candidates[0]).to.equal(choice.preferred);
            const texts = candidates.map((candidate) => JSON.stringify(candidate));
            expect(new Set(texts).size, where).to.equal(texts.length);
            if (!facts.software && size <= 64) expect(texts.length, where).to.be.above(1);
            const quads = Math.ceil(size / 4);
            for (const tile of candidates) {
              if (facts.software) continue;
              const bytes = isSplit(tile)
                ? splitStorage(tile)
                : attentionStorage(pass, tile, quads, quads);
              expect(isSplit(tile) ? tile.threads : threadsOf(tile)).to.be.at.most(
                facts.maxInvocations,
              );
              // The smallest tile stands in where none fits, which only tests have.
              if (facts.workgroupStorage >= 16384) {
                expect(bytes, where).to.be.at.most(facts.workgroupStorage);
              }
            }
          }
        }
      }
    }
  });

  it('few queries may be shared out or not; backward passes never are', () => {
    const few = { ...DIMS, queries: 8 };
    const kinds = new Set(candidatesOf(choiceOf(SOFTWARE, 'forward', few)).map(isSplit));
    expect([...kinds].sort()).to.deep.equal([false, true]);
    expect(candidatesOf(choiceOf(GPU, 'dq', few)).some(isSplit)).to.equal(false);
  });

  it('one name for lengths up to the next power of two, and for one kind of call', () => {
    const name = (dims: Partial<typeof DIMS>) =>
      choiceOf(GPU, 'forward', { ...DIMS, ...dims }).name();
    expect(name({ queries: 300, keys: 511 })).to.equal(name({}));
    for (const other of [{ queries: 513 }, { keys: 256 }, { keyDim: 32 }, { kvHeads: 4 }]) {
      expect(name(other)).not.to.equal(name({}));
    }
    expect(choiceOf(GPU, 'dq').name()).not.to.equal(name({}));
  });

  it('what was measured is taken if it is a candidate still', () => {
    const choice = normChoice(GPU, 4096, 1024);
    const [preferred, other] = candidatesOf(choice);
    const measured = (chosen: unknown) => new Map([[choice.name(), JSON.stringify(chosen)]]);
    expect(pick(choice, new Map())).to.equal(preferred);
    expect(pick(choice, measured(other))).to.deep.equal(other);
    expect(pick(choice, measured(3))).to.equal(preferred);
    expect(candidatesOf(normChoice(SOFTWARE, 4096, 1024))).to.deep.equal([{ by: 'blocks' }]);
  });

  it('a damaged or foreign entry holds nothing', () => {
    for (const text of [null, '', '{', 'null', '7', '"a"', '[1]', '{"a":1}', '{"a":"{"}']) {
      expect(readEntry(text).size, String(text)).to.equal(0);
    }
    expect([...readEntry('{"a":"8"}')]).to.deep.equal([['a', '8']]);
  });
});
