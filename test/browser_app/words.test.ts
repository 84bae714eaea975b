// SPDX-License-Identifier: Apache-2.0
/** What the page decides and says without a browser: when a series ends, what a text is, how numbers read. */
import { expect } from 'chai';

import { fromZero, powersOfTen, powersOfTwo } from '../../examples/browser/chart/scale.js';
import { whyNotLonger } from '../../examples/browser/measure/limits.js';
import type { Point } from '../../examples/browser/measure/measure_point.js';
import { byteWords, listWords, timeWords } from '../../examples/browser/page/words.js';
import { cleanText, noteOn, problemOf } from '../../examples/browser/writer/corpus.js';
import { addTraining, emptyHistory, someOf } from '../../examples/browser/writer/loss_history.js';
import { settingsOf } from '../../examples/browser/writer/sizes.js';

const SIZES = { heads: 8, headDim: 64, channels: 512, lengths: [1024], longestCall: 2000 };
const FREE = { largestBuffer: null, memory: Infinity };

const point = (length: number, milliseconds: number, bytes: number): Point => ({
  ...{ length, milliseconds, bytes, error: 0 },
});

describe('the browser app: when a series ends', () => {
  it('at a table of scores that no buffer holds, and not at the same length without one', () => {
    const bounds = { ...FREE, largestBuffer: 2 ** 31 - 4 };
    const at = (side: 'fused' | 'plain', length: number) =>
      whyNotLonger('attention', side, length, [], SIZES, bounds);
    expect(at('plain', 4096)).to.equal(undefined);
    expect(at('plain', 8192)).to.match(
      /at 8,192 tokens its table of scores takes 2.15 GB, a little more than the largest buffer of this device/,
    );
    expect(at('plain', 16384)).to.match(
      /takes 8.59 GB, and the largest buffer of this device 2.15 GB/,
    );
    expect(at('fused', 8192)).to.equal(undefined);
  });

  it('before four times the memory of plain attention is more than it may take', () => {
    const bounds = { ...FREE, memory: 2e9 };
    const points = [point(2048, 1, 6e8)];
    expect(whyNotLonger('attention', 'plain', 4096, points, SIZES, bounds)).to.match(
      /about 2.4 GB, more than the 2 GB/,
    );
    expect(whyNotLonger('attention', 'fused', 4096, points, SIZES, bounds)).to.equal(undefined);
  });

  it('before a call that takes too long, by how the time has grown', () => {
    const why = (...points: Point[]) =>
      whyNotLonger('attention', 'fused', 4096, points, SIZES, FREE);
    expect(why(point(2048, 600, 1))).to.match(/about 2.4 s, longer than the 2 s/);
    expect(why(point(1024, 250, 1), point(2048, 600, 1))).to.equal(undefined);
    expect(why(point(1024, 20, 1), point(2048, 600, 1))).to.match(/2.4 s/);
  });
});

describe('the browser app: the text', () => {
  const settings = settingsOf('tiny', 100);
  const problem = (raw: string) => problemOf(cleanText(raw), settings);

  it('takes any script, and leaves out what cannot be shown', () => {
    const raw = 'größer 猫 👍🏽\r\n\u0000\ud800\t'.repeat(40);
    const { text, dropped } = cleanText(raw);
    expect(text).to.equal('größer 猫 👍🏽\n\t'.repeat(40));
    expect(dropped).to.equal(80);
    expect(problem(raw)).to.equal(undefined);
    expect(noteOn({ text, dropped })).to.match(
      /^520 characters, 11 different ones\. 80 characters that cannot/,
    );
  });

  it('says what is wrong with one that will not do', () => {
    expect(problem('')).to.match(/^Paste a text here first, of 330 characters/);
    expect(problem(' \n'.repeat(500))).to.match(/^Paste a text/);
    expect(problem('abc '.repeat(82))).to.match(
      /^This text has 328 characters; this model needs 330/,
    );
    expect(problem('abc '.repeat(83))).to.equal(undefined);
    expect(problem('a'.repeat(400))).to.match(/one character over and over/);
    expect(problem('ab'.repeat(1_000_001))).to.match(/takes 2,000,000 at most/);
  });
});

describe('the browser app: words and scales', () => {
  it('bytes and times have three figures and the unit that suits', () => {
    expect([999, 1000, 133_120, 999_600, 2 ** 31].map(byteWords)).to.deep.equal([
      '999 bytes',
      '1 kB',
      '133 kB',
      '1 MB',
      '2.15 GB',
    ]);
    expect([0.4213, 3, 31.4, 999.6, 1540].map(timeWords)).to.deep.equal([
      '0.42 ms',
      '3.0 ms',
      '31 ms',
      '1 s',
      '1.54 s',
    ]);
    expect(listWords(['a', 'b', 'c'])).to.equal('a, b and c');
  });

  it('scales hold all values, and their ticks are round', () => {
    const two = powersOfTwo([64, 300]);
    expect(two.ticks).to.deep.equal([64, 128, 256, 512]);
    expect([64, 128, 512].map((x) => two.at(x))).to.deep.equal([0, 1 / 3, 1]);
    expect(powersOfTen([3, 1000]).ticks).to.deep.equal([1, 10, 100, 1000]);
    expect(powersOfTen([10, 10]).ticks).to.deep.equal([10, 100]);
    const zero = fromZero([3.2, 4.1]);
    expect(zero.ticks).to.deep.equal([0, 1, 2, 3, 4, 5]);
    expect(zero.at(2.5)).to.equal(0.5);
  });

  it('a long history of losses is thinned, and keeps its last point', () => {
    const history = emptyHistory();
    for (let step = 1; step <= 3000; step++) addTraining(history, step, 1 / step);
    expect(history.training.length).to.be.within(200, 400);
    expect(history.training.at(-1)).to.deep.equal([3000, 1 / 3000]);
    const some = someOf(history.training, 10);
    expect(some.length).to.be.within(5, 11);
    expect([some[0], some.at(-1)]).to.deep.equal([history.training[0], history.training.at(-1)]);
  });
});
