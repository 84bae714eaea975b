// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { NO_MASK, UNBOUNDED } from '../../src/spec/mask.js';
import type { MaskPlan } from '../../src/spec/mask.js';
import { attentionParams } from '../../src/tensorflow/attention_params.js';

const numbers = { plan: NO_MASK, scale: 0.5, softcap: 0, p: 0, seed: 0 };
const bits = (x: number) => new Int32Array(new Float32Array([x]).buffer)[0]!;

describe('parameters of the native attention ops', () => {
  it('are 11 numbers without blocks', () => {
    expect([...attentionParams(numbers)]).to.deep.equal(
      [UNBOUNDED, UNBOUNDED, 0, 0, 0, bits(1), bits(0.5), 0, 0, 0, 0], // prettier-ignore
    );
  });

  it('keep all 32 bits of the seed and of the threshold', () => {
    const params = attentionParams({ ...numbers, p: 0.75, seed: 0xfffffffe });
    expect(params[3]! >>> 0).to.equal(0xfffffffe);
    expect(params[4]! >>> 0).to.equal(0.75 * 2 ** 32);
    expect(params[5]).to.equal(bits(4));
  });

  it('hold window, alignment and softcap', () => {
    const plan: MaskPlan = { windowLeft: 3, windowRight: 0, align: 'bottomRight' };
    const params = attentionParams({ ...numbers, plan, softcap: 30 });
    expect([...params.subarray(0, 3)]).to.deep.equal([3, 0, 1]);
    expect(params[7]).to.equal(bits(30));
  });

  it('append the blocks of packed sequences', () => {
    const blocks = { qStart: [0, 2, 5], kStart: [0, 4], kLength: [4, 3] };
    const params = attentionParams({ ...numbers, plan: { ...NO_MASK, blocks } });
    expect([...params.subarray(8)]).to.deep.equal([2, 0, 0, 0, 2, 5, 0, 4, 4, 3]);
  });

  it('append the pages, row by row, with the start of each row', () => {
    const blocks = { qStart: [0, 1, 2, 3], kStart: [0, 0, 0], kLength: [3, 0, 5] };
    const pages = { table: [[7, 1], [], [2, 0, 3]], pageSize: 2 };
    const params = attentionParams({ ...numbers, plan: { ...NO_MASK, blocks, pages } });
    expect([...params.subarray(8, 11)]).to.deep.equal([3, 2, 5]);
    expect([...params.subarray(11)]).to.deep.equal([
      ...[0, 1, 2, 3, 0, 0, 0, 3, 0, 5],
      ...[0, 2, 2],
      ...[7, 1, 2, 0, 3],
    ]);
  });

  it('take a hundred thousand sequences', () => {
    const count = 100_000;
    const ones = new Array<number>(count).fill(1);
    const blocks = {
      qStart: Array.from({ length: count + 1 }, (_, i) => i),
      kStart: ones.map((_, i) => i),
      kLength: ones,
    };
    const pages = { table: ones.map((_, i) => [i]), pageSize: 1 };
    const params = attentionParams({ ...numbers, plan: { ...NO_MASK, blocks, pages } });
    expect(params.length).to.equal(11 + 5 * count + 1);
    expect(params.at(-1)).to.equal(count - 1);
  });
});
