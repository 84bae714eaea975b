// SPDX-License-Identifier: Apache-2.0
/**
 * Ops of the native library called by hand with what our own host side never passes. Each must end in
 * TensorFlow's InvalidArgument with a message that says what is wrong: nothing may be read or written
 * out of bounds, so a crash of this process is a failure of the test that ran.
 */
import '@tensorflow/tfjs-node-gpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import '../../src/node.js';
import { info } from '../../src/index.js';
import { SeededRandom } from '../support/seeded_random.js';
import {
  BLOCKS,
  PAGES,
  PLAIN,
  attention,
  biasedAttention,
  bits,
  gradientOf,
  norm,
  normGradient,
  pack,
  unpack,
  validCalls,
} from './raw_calls.js';
import { bools, floats, runRaw, vector, words } from './raw_op.js';
import type { RawAttribute, RawCall, RawTensor } from './raw_op.js';

const INVALID = /^Invalid TF_Status: 3\s+Message: /;

const withInput = (call: RawCall, name: string, tensor: RawTensor): RawCall => ({
  ...call,
  inputs: { ...call.inputs, [name]: tensor },
});
const withAttribute = (call: RawCall, name: string, attribute: RawAttribute): RawCall => ({
  ...call,
  attributes: { ...call.attributes, [name]: attribute },
});
/** A call with one of its params changed. */
const withParam = (params: number[], index: number, value: number): RawCall => {
  const changed = [...params];
  changed[index] = value;
  return attention(changed, params === PLAIN ? 2 : 1);
};

const INT_MAX = 2 ** 31 - 1;
const INT_MIN = -(2 ** 31);

type Malformed = [title: string, call: RawCall, words: RegExp];

const gradient = gradientOf(attention(), 'TfxfAttentionGradV1', 3);
const biasGradient = gradientOf(biasedAttention(), 'TfxfAttentionBiasGradV1', 1);
const sinkGradient = gradientOf(biasedAttention(), 'TfxfAttentionSinkGradV1', 1);

const SHAPES: Malformed[] = [
  ['query of rank 3', withInput(attention(), 'query', floats(2, 5, 24)), /query .*rank 3/],
  [
    'key of rank 5',
    withInput(attention(), 'key', floats(2, 8, 2, 6, 1)),
    /rank 4 and 5, expected 4/,
  ],
  ['value of rank 0', withInput(attention(), 'value', floats()), /value has shape \[\], expected/],
  ['key of another batch', withInput(attention(), 'key', floats(3, 8, 2, 6)), /key has shape/],
  ['key of other heads', withInput(attention(), 'key', floats(2, 8, 3, 6)), /value has shape|head/],
  ['value that is shorter', withInput(attention(), 'value', floats(2, 7, 2, 3)), /value has shape/],
  ['no key heads', withInput(withInput(attention(), 'key', floats(2, 8, 0, 6)), 'value', floats(2, 8, 0, 3)), /heads/], // prettier-ignore
  [
    'query of other columns',
    withInput(attention(), 'query', floats(2, 5, 4, 5)),
    /query has shape/,
  ],
  ['params of rank 2', withInput(attention(), 'params', { ...vector(...PLAIN), shape: [11, 1] }), /params is not a vector/], // prettier-ignore
  ['bias of rank 3', withInput(biasedAttention(), 'bias', floats(4, 5, 8)), /bias/],
  [
    'bias of other queries',
    withInput(biasedAttention(), 'bias', floats(2, 1, 4, 8)),
    /bias has shape/,
  ],
  [
    'bias of more heads',
    withInput(biasedAttention('bool'), 'bias', bools(2, 8, 5, 8)),
    /bias has shape/,
  ],
  ['sink of another length', withInput(biasedAttention(), 'sink', floats(3)), /sink has shape/],
  [
    'doutput of other columns',
    withInput(gradient, 'doutput', floats(2, 5, 4, 4)),
    /doutput has shape/,
  ],
  ['output that is shorter', withInput(gradient, 'output', floats(2, 4, 4, 3)), /output has shape/],
  [
    'log_sum_exp of rank 2',
    withInput(gradient, 'log_sum_exp', floats(8, 5)),
    /log_sum_exp has shape/,
  ],
  ['dlog_sum_exp that is longer', withInput(gradient, 'dlog_sum_exp', floats(2, 4, 6)), /dlog_sum_exp has shape/], // prettier-ignore
  ['x without axes', withInput(norm(), 'x', floats()), /x is a scalar/],
  ['x of other columns', withInput(norm(), 'x', floats(7, 8)), /x has shape/],
  ['x of more axes than there may be', withInput(norm(), 'x', floats(...Array<number>(20).fill(1), 9)), /rank 21|axes/], // prettier-ignore
  ['residual of other rows', withInput(norm(), 'residual', floats(6, 9)), /residual has shape/],
  ['gamma of another length', withInput(norm(), 'gamma', floats(8)), /gamma has shape/],
  ['beta of rank 2', withInput(norm(), 'beta', floats(1, 9)), /beta has shape/],
  ['dy of other rows', withInput(normGradient(), 'dy', floats(8, 9)), /dy has shape/],
  ['stats of one column', withInput(normGradient(), 'stats', floats(7, 1)), /stats has shape/],
  ['stats of fewer rows', withInput(normGradient(), 'stats', floats(6, 2)), /stats has shape/],
  ['dsum of other columns', withInput(normGradient(), 'dsum', floats(7, 8)), /dsum has shape/],
  ['words that are too few', withInput(unpack(), 'x', words(3, 2)), /x has shape/],
  ['words without axes', withInput(unpack(), 'x', words()), /x .*(rank 0|scalar)/],
  ['values of too many axes', withInput(pack(), 'x', floats(...Array<number>(20).fill(1))), /rank 20|axes/], // prettier-ignore
];

const TYPES: Malformed[] = [
  ['words as float32 queries', withInput(attention(), 'query', words(2, 5, 4, 6)), /int32/],
  ['output of type bool', withAttribute(attention(), 'Toutput', { type: 'TF_BOOL' }), /bool/],
  ['bias of type int32', withAttribute(biasedAttention(), 'Tbias', { type: 'TF_INT32' }), /int32/],
  ['params of type float32', withInput(attention(), 'params', floats(11)), /float/],
  ['a float32 bias said to be bool', withAttribute(biasedAttention(), 'Tbias', { type: 'TF_BOOL' }), /bool|float/], // prettier-ignore
  ['words as sink', withInput(biasedAttention(), 'sink', words(4)), /int32/],
  ['words as values to pack', withInput(pack(), 'x', words(3, 5)), /int32/],
  ['values to unpack', withInput(unpack(), 'x', floats(3, 3)), /float/],
];

const ATTRIBUTES: Malformed[] = [
  ['key_dim of 0', withAttribute(attention(), 'key_dim', { int: 0 }), /key_dim.* 0 .*minimum 1/],
  [
    'key_dim below 0',
    withAttribute(attention(), 'key_dim', { int: -6 }),
    /key_dim.* -6 .*minimum 1/,
  ],
  [
    'key_dim of 2^40',
    withAttribute(attention(), 'key_dim', { int: 2 ** 40 }),
    /key_dim is 1099511627776/,
  ],
  ['value_dim that is not that of value', withAttribute(attention(), 'value_dim', { int: 4 }), /value has shape/], // prettier-ignore
  ['two biases', withAttribute(biasedAttention(), 'Nbias', { int: 2 }), /./],
  ['a bias that is not there', withAttribute(attention(), 'Nbias', { int: 1 }), /./],
  ['a bias too many', withAttribute(biasedAttention(), 'Nbias', { int: 0 }), /./],
  ['-1 sinks', withAttribute(attention(), 'Nsink', { int: -1 }), /number_attr.. -1 < 0/],
  ['columns below 0', withAttribute(norm(), 'columns', { int: -9 }), /columns/],
  ['columns of 2^31', withAttribute(norm(), 'columns', { int: 2 ** 31 }), /columns is 2147483648/],
  ['epsilon of 0', withAttribute(norm(), 'epsilon', { float: 0 }), /epsilon is 0/],
  ['epsilon below 0', withAttribute(norm(), 'epsilon', { float: -1 }), /epsilon is -1/],
  ['epsilon of NaN', withAttribute(norm(), 'epsilon', { float: NaN }), /epsilon is -?nan/],
  ['weight_offset of infinity', withAttribute(norm(), 'weight_offset', { float: Infinity }), /weight_offset is inf/], // prettier-ignore
  ['RMS norm with beta', withAttribute(norm(), 'rms', { bool: true }), /RMS norm has no beta/],
  ['gradient of RMS norm with beta', withAttribute(normGradient(), 'rms', { bool: true }), /RMS norm has no beta/], // prettier-ignore
  ['two gammas', withAttribute(norm(), 'Ngamma', { int: 2 }), /./],
  ['columns of an unpack below 0', withAttribute(unpack(), 'columns', { int: -5 }), /columns/],
  [
    'columns of an unpack that do not fit',
    withAttribute(unpack(), 'columns', { int: 7 }),
    /x has shape/,
  ],
  ['gradient of no bias', withAttribute(gradientOf(attention(), 'TfxfAttentionBiasGradV1', 1), 'Nbias', { int: 0 }), /no float bias|input/], // prettier-ignore
  ['gradient of a bool bias', gradientOf(biasedAttention('bool'), 'TfxfAttentionBiasGradV1', 1), /no float bias/], // prettier-ignore
  ['gradient of no sink', gradientOf(attention(), 'TfxfAttentionSinkGradV1', 1), /no sink/],
  ['a gradient with two dlog_sum_exp', withAttribute(biasGradient, 'Ndlse', { int: 2 }), /./],
  ['a gradient without its dlog_sum_exp', withAttribute(sinkGradient, 'Ndlse', { int: 0 }), /./],
];

const PARAMS: Malformed[] = [
  ['no params', attention([]), /params/],
  ['10 params', attention(PLAIN.slice(0, 10)), /params .*at least 11/],
  ['12 params without blocks', attention([...PLAIN, 0]), /params has 12 numbers, expected 11/],
  ['blocks cut off', attention(BLOCKS.slice(0, -1), 1), /params has 17 numbers, expected 18/],
  ['windowLeft below 0', withParam(PLAIN, 0, -1), /params\[0\].* is -1/],
  ['windowRight of 2^31 - 1', withParam(PLAIN, 1, INT_MAX), /params\[1\].* is 2147483647/],
  ['bottomRight of 2', withParam(PLAIN, 2, 2), /params\[2\].* is 2/],
  ['keepScale of NaN', withParam(PLAIN, 5, bits(NaN)), /params\[5\].* is -?nan/],
  ['keepScale of 0', withParam(PLAIN, 5, 0), /params\[5\].* is 0/],
  ['keepScale below 0', withParam(PLAIN, 5, bits(-1)), /params\[5\].* is -1/],
  ['scale of infinity', withParam(PLAIN, 6, bits(Infinity)), /params\[6\].* is inf/],
  ['scale of NaN', withParam(PLAIN, 6, bits(NaN)), /params\[6\].* is -?nan/],
  ['softcap below 0', withParam(PLAIN, 7, bits(-2)), /params\[7\].* is -2/],
  ['softcap of NaN', withParam(PLAIN, 7, bits(NaN)), /params\[7\].* is -?nan/],
  ['-1 blocks', withParam(BLOCKS, 8, -1), /negative/],
  ['2^31 - 1 blocks', withParam(BLOCKS, 8, INT_MAX), /params has 18 numbers, expected 6442450953/],
  ['pages without blocks', withParam(PLAIN, 9, 4), /no blocks/],
  ['pages of -2 keys', withParam(PAGES, 9, -2), /negative/],
  ['a page table of -4', withParam(PAGES, 10, -4), /negative/],
  ['a page table that is too short', withParam(PAGES, 10, 3), /params has 24 numbers, expected 23/],
  ['a page table without pages', withParam(BLOCKS, 10, 1), /pages of 0 keys/],
  ['blocks of queries that begin late', withParam(BLOCKS, 11, 1), /q_start begins with 1/],
  ['blocks of queries that go back', withParam(BLOCKS, 12, 6), /q_start\[2\] is 5, below/],
  ['blocks of queries below 0', withParam(BLOCKS, 12, -2), /q_start\[1\] is -2, below/],
  ['blocks that leave queries out', withParam(BLOCKS, 13, 4), /q_start ends with 4/],
  ['blocks of too many queries', withParam(BLOCKS, 13, 6), /q_start ends with 6/],
  ['keys from before the first', withParam(BLOCKS, 14, -1), /block 0 has 4 keys from row -1/],
  ['keys past the last', withParam(BLOCKS, 15, 6), /block 1 has 3 keys from row 6 on, of 8/],
  ['-1 keys', withParam(BLOCKS, 16, -1), /block 0 has -1 keys/],
  ['2^31 - 1 keys', withParam(BLOCKS, 17, INT_MAX), /block 1 has 2147483647 keys/],
  ['keys from -2^31 on', withParam(BLOCKS, 14, INT_MIN), /block 0 has 4 keys from row -2147483648/],
  ['a page that there is not', withParam(PAGES, 20, 4), /page_table\[0\] is 4/],
  ['a page below 0', withParam(PAGES, 21, -1), /page_table\[1\] is -1/],
  ['page 2^31 - 1', withParam(PAGES, 22, INT_MAX), /page_table\[2\] is 2147483647/],
  ['pages from before the first', withParam(PAGES, 18, -1), /block 0 has 2 pages from -1/],
  ['pages past the last', withParam(PAGES, 19, 3), /block 1 has 2 pages from 3 on, of 4/],
  ['more keys than pages', withParam(PAGES, 16, 9), /block 0 has 5 pages from 0 on, of 4/],
  ['-1 keys in pages', withParam(PAGES, 16, -1), /block 0 has -1 keys/],
  ['paged keys that begin late', withParam(PAGES, 14, 1), /paged block 0 has 3 keys from 1 on/],
  ['pages of 2^31 - 1 keys', withParam(PAGES, 9, INT_MAX), /page_table\[0\] is 3/],
  ['blocks in a batch of 2', attention(BLOCKS, 2), /batch size 1/],
  ['blocks and a bias', withInput(biasedAttention(), 'params', vector(...BLOCKS)), /bias does not go with blocks|batch size 1/], // prettier-ignore
  ['the params of a gradient cut off', withInput(gradient, 'params', vector(...PLAIN.slice(0, 9))), /params .*at least 11/], // prettier-ignore
];

/** Sizes of empty tensors, whose product overflows 64 bits but for the 0 in it. */
const HUGE = 2 ** 31 - 1;
const OVERFLOWS: Malformed[] = [
  ['queries', withInput(attention(), 'query', floats(0, HUGE, 4, 6)), /./],
  ['heads', withInput(attention(PLAIN, 0), 'query', floats(0, HUGE, HUGE, 6)), /./],
  ['an axis of 2^40', withInput(attention(PLAIN, 0), 'query', floats(0, 2 ** 40, 4, 6)), /./],
  ['rows', withInput(norm(), 'x', floats(0, HUGE, HUGE, HUGE, 9)), /./],
  ['values to pack', withInput(pack(), 'x', floats(0, HUGE, HUGE, HUGE, 5)), /./],
];

function errorOf(call: RawCall): Error | undefined {
  try {
    runRaw(call);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** A random integer that finds what a check forgot. */
function oddInteger(random: SeededRandom): number {
  return random.pick([
    () => random.integer(-3, 12),
    () => random.pick([INT_MAX, INT_MIN, INT_MAX - 1, 2 ** 30, 2 ** 30 + 1, -(2 ** 30), 65536]),
    () => random.pick([bits(NaN), bits(Infinity), bits(-Infinity), bits(1e-45), bits(3e38)]),
    () => random.integer(INT_MIN, INT_MAX),
  ])();
}

function corruptedParams(random: SeededRandom): number[] {
  const params = [...random.pick([PLAIN, BLOCKS, PAGES, PAGES])];
  for (let n = random.integer(1, 3); n > 0; n--) {
    params[random.integer(0, params.length - 1)] = oddInteger(random);
  }
  if (random.chance(0.1)) params.length = random.integer(0, params.length);
  if (random.chance(0.1)) params.push(oddInteger(random));
  return params;
}

/** One size of one input changed; the values are as many as that needs. */
function corruptedShape(random: SeededRandom, call: RawCall): RawCall {
  const name = random.pick(Object.keys(call.inputs));
  const { shape, values } = call.inputs[name]!;
  const changed = [...shape];
  const axis = random.integer(0, shape.length - 1);
  random.pick([
    () => changed.splice(axis, 0, random.integer(0, 3)),
    () => changed.splice(axis, 1),
    () => (changed[axis] = random.integer(0, 10)),
    () => (changed[axis] = random.integer(0, 10)),
  ])();
  const make =
    values instanceof Float32Array ? floats : values instanceof Int32Array ? words : bools;
  return withInput(call, name, make(...changed));
}

/** One attribute that is a number changed. */
function corruptedAttribute(random: SeededRandom, call: RawCall): RawCall {
  const names = Object.keys(call.attributes).filter((name) => 'int' in call.attributes[name]!);
  if (names.length === 0) return call;
  const name = random.pick(names);
  // TensorFlow makes a list as long as a count says before it asks the op.
  const large = name.startsWith('N') ? [3, -(2 ** 40)] : [2 ** 31, -(2 ** 40), INT_MAX];
  const value = random.pick([random.integer(-2, 12), ...large]);
  return withAttribute(call, name, { int: value });
}

describe('malformed calls by hand', function () {
  this.timeout(120_000);

  let valid: Float32Array[][];
  before(() => {
    expect(info().native.loaded, info().native.reason).to.equal(true);
    expect(tf.getBackend()).to.equal('tensorflow');
    valid = validCalls().map(runRaw);
  });

  const groups = { SHAPES, TYPES, ATTRIBUTES, PARAMS };
  for (const [group, calls] of Object.entries(groups)) {
    describe(group.toLowerCase(), () => {
      for (const [title, call, words] of calls) {
        it(title, () => {
          const message = errorOf(call)?.message;
          expect(message, 'the error').to.match(INVALID);
          expect(message).to.match(words);
        });
      }
    });
  }

  describe('sizes that overflow', () => {
    for (const [title, call] of OVERFLOWS) {
      it(title, () => {
        const error = errorOf(call);
        if (error) expect(error.message).to.match(/^Invalid TF_Status: |^Shape/);
      });
    }
  });

  const fuzz = (
    title: string,
    rounds: number,
    corrupt: (random: SeededRandom) => RawCall,
  ): void => {
    it(`${rounds} random corruptions of ${title}: a result, or an error that says why`, () => {
      let rejected = 0;
      for (let round = 0; round < rounds; round++) {
        const call = corrupt(new SeededRandom(7000 + round));
        const error = errorOf(call);
        if (!error) continue;
        rejected++;
        expect(error.message, `round ${round}`).to.match(INVALID);
      }
      expect(rejected).to.be.above(rounds / 3);
    });
  };
  const anyOf = (random: SeededRandom): RawCall => random.pick(validCalls());
  fuzz('params', 600, (random) => attention(corruptedParams(random), 1));
  fuzz('params of a gradient', 600, (random) =>
    gradientOf(attention(corruptedParams(random), 1), 'TfxfAttentionGradV1', 3),
  );
  fuzz('shapes', 600, (random) => corruptedShape(random, anyOf(random)));
  fuzz('attributes', 300, (random) => corruptedAttribute(random, anyOf(random)));

  it('valid calls give what they gave before', () => {
    expect(validCalls().map(runRaw)).to.deep.equal(valid);
  });
});
