// SPDX-License-Identifier: Apache-2.0
/** The training example: tokens, the order of the text, options. */
import { expect } from 'chai';

import { DataOrder } from '../../examples/node-training/data_order.js';
import { readOptions } from '../../examples/node-training/options.js';
import { BytePairs } from '../../examples/node-training/tokens/byte_pairs.js';
import {
  TOKENS,
  decode,
  learnTokenizer,
  loadTokenizer,
} from '../../examples/node-training/tokens/tokenizer.js';
import type { TokenizerData } from '../../examples/node-training/tokens/tokenizer.js';
import { wordsOf } from '../../examples/node-training/tokens/words.js';
import { drawToken } from '../../examples/shared/draw_token.js';
import { seededRandom } from '../../examples/shared/random.js';
import { UsageError } from '../../examples/shared/usage.js';
import { sentences } from './training_text.js';

const text = sentences(200);

describe('tokens of the training example', () => {
  for (const kind of TOKENS) {
    it(`${kind}: the text comes back, also from tokens that were saved`, () => {
      const tokenizer = learnTokenizer(kind, text, 300);
      const tokens = tokenizer.encode(text);
      expect(decode(tokenizer, tokens)).to.equal(text);
      expect(Math.max(...tokens)).to.be.below(tokenizer.size);
      const saved = JSON.parse(JSON.stringify(tokenizer.data)) as TokenizerData;
      const loaded = loadTokenizer(saved);
      expect(loaded.size).to.equal(tokenizer.size);
      expect(loaded.encode(text)).to.deep.equal(tokens);
    });
  }

  it('byte pairs take the most frequent pair first, and of several the one with the lower bytes', () => {
    // In words: "ab" 3 times, "bc" 2 times, then "abc" as ab + c.
    const { data } = learnTokenizer('byte-pairs', 'abc\nabc\nab', 300) as BytePairs;
    const [a, b, c] = [97, 98, 99];
    expect(data.merges).to.deep.equal([
      [a, b],
      [256, c],
    ]);
    const tokenizer = new BytePairs(data);
    expect([...tokenizer.encode('abcab')]).to.deep.equal([257, 256]);
    expect([...tokenizer.encode('aabb')]).to.deep.equal([a, 256, b]);
  });

  it('byte pairs shorten a text, and know every text', () => {
    const tokenizer = learnTokenizer('byte-pairs', text, 280);
    expect(tokenizer.size).to.equal(280);
    expect(tokenizer.encode(text).length).to.be.below(Buffer.byteLength(text) / 2);
    const other = 'Ω≈ç√ 𝄞 \t\r\n  \n e\u0301 👩‍🚀 \u0000 0123456789' + 'x'.repeat(100);
    expect([...wordsOf(other)].join('')).to.equal(other);
    expect(decode(tokenizer, tokenizer.encode(other))).to.equal(other);
    // A character in the making is shown when its last byte is there.
    const decoder = tokenizer.decoder();
    const bytes = new TextEncoder().encode('𝄞');
    expect(Array.from(bytes, (byte) => decoder.next(byte))).to.deep.equal(['', '', '', '𝄞']);
  });

  it('characters have one token for all that the text has not', () => {
    const tokenizer = learnTokenizer('characters', 'aab', 0);
    expect([...tokenizer.encode('baz𝄞')]).to.deep.equal([2, 1, 0, 0]);
    expect(decode(tokenizer, [1, 0, 2])).to.equal('a\ufffdb');
  });
});

describe('the order of the text in the training example', () => {
  const [length, context] = [1000, 16];
  const start = { epoch: 7, taken: 0 };

  it('an epoch is the whole text once, each in another order', () => {
    const order = new DataOrder(length, context, start);
    const byEpoch = new Map<number, number[]>();
    for (let i = 0; i < 200; i++) {
      const [at] = order.next(1);
      const { epoch } = order.state;
      byEpoch.set(epoch, [...(byEpoch.get(epoch) ?? []), at!]);
    }
    const epochs = [...byEpoch.values()].slice(0, 2);
    for (const starts of epochs) {
      expect(starts.length).to.be.within(61, 62);
      const sorted = [...starts].sort((a, b) => a - b);
      expect(sorted[0]).to.be.within(0, context - 1);
      expect(sorted.at(-1)! + context).to.be.below(length);
      sorted.slice(1).forEach((at, index) => expect(at - sorted[index]!).to.equal(context));
      expect(starts).not.to.deep.equal(sorted);
    }
    expect(epochs[0]).not.to.deep.equal(epochs[1]);
  });

  it('goes on from its state, within an epoch and after several', () => {
    for (const before of [0, 5, 62, 300]) {
      const order = new DataOrder(length, context, start);
      order.next(before);
      const again = new DataOrder(length, context, order.state);
      expect(again.next(200), `${before} before`).to.deep.equal(order.next(200));
    }
  });

  it('has the one place that a short text has', () => {
    expect(new DataOrder(17, 16, start).next(3)).to.deep.equal([0, 0, 0]);
  });
});

describe('drawing a token', () => {
  const logits = [1, 4, 2, 3];
  const drawn = (temperature: number, topK?: number) => {
    const random = seededRandom(3);
    const tokens = Array.from({ length: 400 }, () => drawToken(logits, temperature, random, topK));
    return logits.map((_, token) => tokens.filter((each) => each === token).length / 400);
  };

  it('follows the softmax, narrowed by temperature and top-k', () => {
    const [first, second] = [drawn(1), drawn(0.5)];
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    logits.forEach((logit, token) => {
      expect(first[token]).to.be.closeTo(Math.exp(logit) / total, 0.07);
    });
    expect(second[1]).to.be.above(first[1]!);
    const [a, b, c, d] = drawn(1, 2);
    expect([a, c]).to.deep.equal([0, 0]);
    expect(b! + d!).to.equal(1);
    expect(Math.min(b!, d!)).to.be.above(0);
    expect(drawn(1, 1)).to.deep.equal([0, 1, 0, 0]);
    expect(drawn(0)).to.deep.equal([0, 1, 0, 0]);
  });
});

describe('options of the training example', () => {
  const wrong: [args: string[], message: RegExp][] = [
    [[], /which text file/],
    [['a', 'b'], /one text file.*a, b/],
    [['a', '--loud'], /--loud/],
    [['a', '--steps', '0'], /--steps takes a whole number of at least 1, not '0'/],
    [['a', '--clip', 'x'], /--clip takes a number of at least 0, not 'x'/],
    [['a', '--clip', ''], /--clip/],
    [['a', '--held-out', '1'], /--held-out.*at most 0.9/],
    [['a', '--vocabulary', '256'], /at least 257/],
    [['a', '--dtype', 'float16'], /--dtype takes one of float32, .*, compare, not 'float16'/],
    [['a', '--tokens', 'words'], /characters, byte-pairs/],
    [['a', '--backend', 'webgpu'], /tfjs-node, tfjs-node-gpu, tfjs/],
    [['a', '--width', '36', '--heads', '4'], /multiple of twice --heads 4/],
    [['a', '--heads', '4', '--kv-heads', '3'], /--kv-heads 3 has to be a divisor/],
    [['--resume', '--width', '64'], /--resume .* leave out --width/],
    [['--resume', '--dtype', 'compare'], /leave out --dtype/],
  ];

  for (const [args, message] of wrong) {
    it(`refuses: ${args.join(' ')}`, () => {
      expect(() => readOptions(args)).to.throw(UsageError, message);
    });
  }

  it('takes its defaults from what the help says', () => {
    const { settings, run, compare, backend } = readOptions(['a', '--steps', '200']);
    expect(settings).to.include({ strategy: 'float32', warmUp: 10, learningRate: 3e-3, seed: 1 });
    expect(run).to.include({ resume: false, stopAfter: Infinity, topK: 40 });
    expect([compare, backend]).to.deep.equal([false, 'tfjs-node']);
    expect(readOptions(['a', '--dtype', 'compare']).compare).to.equal(true);
    expect(readOptions(['--resume']).text).to.equal(undefined);
  });
});
