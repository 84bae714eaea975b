// SPDX-License-Identifier: Apache-2.0
/** What layers.multiHeadAttention rejects: class, words, no leak. Its cache: errors_multi_head_cache.ts. */
import * as tfl from '@tensorflow/tfjs-layers';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { OP, SIZES, call, disposeLayers, make, x } from '../support/multi_head_rejections.js';
import { describeRejections, words, wrong } from '../support/rejection.js';
import type { Rejected } from '../support/rejection.js';

function argument(name: string, value: unknown, type: typeof Error, expected: string): Rejected {
  const got = typeof value === 'number' || typeof value === 'string' ? `${value}` : '';
  return [
    `${name} ${String(value)}`,
    () => make({ [name]: value }),
    type,
    words(OP, name, expected, got),
  ];
}

export function suite(_backend: TestBackend): void {
  describeRejections('errors of multi-head attention', [
    [
      'an unknown argument',
      () => make({ headDim: 8 }),
      TypeError,
      words(OP, 'options', 'numHeads, keyDim, valueDim', "the unknown option 'headDim'"),
    ],
    [
      'no sizes',
      () => layers.multiHeadAttention(wrong({ keyDim: 8 })),
      TypeError,
      words(OP, 'numHeads', 'a whole number above 0', 'undefined'),
    ],
    argument('numHeads', 0, RangeError, 'a whole number above 0'),
    argument('keyDim', 1.5, RangeError, 'a whole number above 0'),
    argument('units', '8', TypeError, 'a whole number above 0'),
    argument('numKvHeads', 3, RangeError, 'a divisor of numHeads, 4'),
    argument('useBias', 1, TypeError, 'true or false'),
    argument('dropout', 1, RangeError, 'at least 0 and below 1'),
    argument('castTo', 'float16', RangeError, "'bfloat16', 'float32'"),
    argument('qkNorm', 5, TypeError, 'true, the name of a norm, or an object'),
    argument('rope', 'yes', TypeError, 'true, or an object'),
    argument('kernelInitializer', 'nope', RangeError, 'a registered initializer'),
    [
      'a norm that is none',
      () => make({ qkNorm: 'batch' }),
      RangeError,
      words(OP, 'norm', "'layer', 'rms', 'l2', 'none'", "'batch'"),
    ],
    [
      'a cast among the norm',
      () => make({ qkNorm: { norm: 'rms', castTo: 'bfloat16' } }),
      TypeError,
      words(OP, 'options', 'qNorm, kNorm, norm', "the unknown option 'castTo'"),
    ],
    [
      'axes of Keras that are not the steps',
      () =>
        layers.MultiHeadAttention.fromConfig(
          layers.MultiHeadAttention as never,
          { ...SIZES, attentionAxes: [1, 2] } as never,
        ),
      RangeError,
      words(OP, 'attentionAxes', 'null or [1]', '[1, 2]'),
    ],
    [
      'an output of several axes',
      () =>
        layers.MultiHeadAttention.fromConfig(
          layers.MultiHeadAttention as never,
          { ...SIZES, outputShape: [2, 3] } as never,
        ),
      RangeError,
      words(OP, 'outputShape', 'one size', '[2, 3]'),
    ],
    [
      'rope of more channels than a head has',
      () => make({ rope: { dim: 10 } }),
      RangeError,
      words(OP, 'rope.dim', 'at most 8', '10'),
    ],
    [
      'rank 2',
      (t) => make().apply(t.f32(4, 6)),
      RangeError,
      words(OP, 'query', 'of rank 3, [B, M, C]', '[4, 6]'),
    ],
    [
      'channels that are not known',
      () => make().apply(tfl.input({ shape: [4, null] })),
      RangeError,
      words(OP, 'query', 'with known C', '[null, 4, null]'),
    ],
    [
      'four inputs',
      (t) => make().apply([x(t), x(t), x(t), x(t)]),
      RangeError,
      words(OP, 'inputs', 'one to three', '4'),
    ],
    [
      'batches that differ',
      (t) => make().apply([x(t), t.f32(2, 4, 6)]),
      RangeError,
      words(OP, 'value', 'of batch size 1, like query', '[2, 4, 6]'),
    ],
    [
      'keys without values',
      (t) => make().apply([x(t), x(t), t.f32(1, 5, 6)]),
      RangeError,
      words(OP, 'key', 'of 4 steps, like value', '[1, 5, 6]'),
    ],
    [
      'call() before it is built',
      (t) => make().call(x(t), {}),
      RangeError,
      words(OP, 'inputs', 'a layer that is built', 'the first ones'),
    ],
    call('other channels', {}, (t) => [t.f32(1, 4, 7)], 'query', 'of 6 channels', '7'),
    call('int32', {}, (t) => [t.of('int32', [1, 4, 6])], 'query', 'float32', 'int32', TypeError),
    call('a list of numbers', {}, () => [[[1, 2]]], 'query', 'a tensor', '[1, 2]', TypeError),
    call(
      'a mask of other steps',
      {},
      (t) => [x(t), { mask: [t.of('bool', [1, 5])] }],
      'mask',
      'for query a live tensor [1, 4]',
      '[1, 5]',
    ),
    call(
      'an attention mask of other keys',
      {},
      (t) => [x(t), { attentionMask: t.of('bool', [4, 5]) }],
      'attentionMask',
      '[1, 4, 4, 4] in full',
      '[4, 5]',
    ),
    call(
      'an attention mask of other heads',
      {},
      (t) => [x(t), { attentionMask: t.of('bool', [1, 3, 4, 4]) }],
      'attentionMask',
      'a bool tensor [Mq, Mk]',
      '[1, 3, 4, 4]',
    ),
    call(
      'an attention mask that is a list',
      {},
      (t) => [x(t), { attentionMask: [[1]] }],
      'attentionMask',
      'a tensor',
      '[[1]]',
      TypeError,
    ),
    call('lengths of other steps', {}, (t) => [x(t), { seqlens: [3, 2] }], 'query', '5 long', '4'),
    call(
      'a length that is none',
      {},
      (t) => [x(t), { seqlens: [5, -1] }],
      'seqlens[1]',
      'a whole number, 0 or above',
      '-1',
    ),
    call(
      'lengths that are no list',
      {},
      (t) => [x(t), { seqlens: 4 }],
      'seqlens',
      'an array of lengths',
      '4',
      TypeError,
    ),
    call(
      'lengths of keys for fewer sequences',
      {},
      (t) => [x(t), { seqlens: [2, 2], kvSeqlens: [4] }],
      'kvSeqlens',
      'of 2 entries',
      '1 entries',
    ),
    call(
      'lengths with a batch',
      {},
      (t) => [t.f32(2, 4, 6), { seqlens: [4] }],
      'query',
      'of batch size 1 with seqlens',
      'batch size 2',
    ),
    call(
      'positions of other rows',
      { rope: true },
      (t) => [x(t), { positions: [1] }],
      'positions',
      'of 4 numbers',
      '[1]',
    ),
  ]);
  after(disposeLayers);
}
