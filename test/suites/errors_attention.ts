// SPDX-License-Identifier: Apache-2.0
/** What attention rejects: class, words, no leak. */
import {
  attnBias,
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  whyNotFused,
} from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections, words } from '../support/rejection.js';
import type { Rejected, TensorPool } from '../support/rejection.js';

type Attend = (q: unknown, k: unknown, v: unknown, bias?: unknown, options?: unknown) => unknown;

/** The rows that both attention ops share. */
function attentionRows(op: string, call: Attend): Rejected[] {
  const q = (t: TensorPool) => t.f32(2, 5, 4, 8);
  const kv = (t: TensorPool) => t.f32(2, 7, 4, 8);
  const given = (t: TensorPool, bias: unknown, options: unknown = {}) =>
    call(q(t), kv(t), kv(t), bias, options);
  const option = (
    name: string,
    value: unknown,
    type: typeof Error,
    expected: string,
    got: string,
  ): Rejected => [
    `${op} with ${name} ${String(value)}`,
    (t) => given(t, null, { [name]: value }),
    type,
    words(op, `options.${name}`, expected, got),
  ];
  const one =
    'all three must have one dtype\\. Cast the float32 ones with toBFloat16\\(\\), norm with ' +
    "outputDtype: 'bfloat16', or use layers\\.qkNormAttention\\.$";
  return [
    [
      `${op} of float32 and bfloat16`,
      (t) => call(q(t), kv(t), t.bf16(2, 7, 4, 8)),
      TypeError,
      new RegExp(`^${op}: query is float32, key is float32, value is bfloat16; ${one}`),
    ],
    [
      `${op} of a bfloat16 query alone`,
      (t) => call(t.bf16(2, 5, 4, 8), kv(t), kv(t)),
      TypeError,
      new RegExp(`^${op}: query is bfloat16, key is float32, value is float32; ${one}`),
    ],
    [
      `${op} of int32`,
      (t) => call(t.of('int32', [2, 5, 4, 8]), kv(t), kv(t)),
      TypeError,
      new RegExp(
        `^${op}: query is int32, key is float32, value is float32; .*float32.*bfloat16.*tf\\.cast`,
      ),
    ],
    [
      `${op} of no tensor`,
      (t) => call([1], kv(t), kv(t)),
      TypeError,
      words(op, 'query', 'a tensor', '[1]'),
    ],
    [
      `${op} without key`,
      (t) => call(q(t), undefined, kv(t)),
      TypeError,
      words(op, 'key', 'a tensor', 'undefined'),
    ],
    [
      `${op} without value`,
      (t) => call(q(t), kv(t), null),
      TypeError,
      words(op, 'value', 'a tensor', 'null'),
    ],
    [
      `${op} of a disposed query`,
      (t) => call(t.disposed(2, 5, 4, 8), kv(t), kv(t)),
      TypeError,
      words(op, 'query', 'a live tensor', 'disposed'),
    ],
    [
      `${op} of a disposed bfloat16 value`,
      (t) => call(t.bf16(2, 5, 4, 8), t.bf16(2, 7, 4, 8), t.disposedBf16(2, 7, 4, 8)),
      TypeError,
      words(op, 'value', 'a live tensor', 'disposed'),
    ],
    [
      `${op} of rank 2`,
      (t) => call(t.f32(5, 8), t.f32(7, 8), t.f32(7, 8)),
      RangeError,
      words(op, 'query', 'rank 3, 4 or 5', '[5, 8]'),
    ],
    [
      `${op} of rank 6`,
      (t) => call(t.f32(1, 1, 1, 1, 1, 8), kv(t), kv(t)),
      RangeError,
      words(op, 'query', 'rank 3, 4 or 5', '[1, 1, 1, 1, 1, 8]'),
    ],
    [
      `${op} of two ranks`,
      (t) => call(q(t), t.f32(2, 7, 8), kv(t)),
      RangeError,
      words(op, 'key', 'rank 4', '[2, 7, 8]'),
    ],
    [
      `${op} of two batch sizes`,
      (t) => call(q(t), t.f32(3, 7, 4, 8), t.f32(3, 7, 4, 8)),
      RangeError,
      words(op, 'key', 'batch size 2', '[3, 7, 4, 8]'),
    ],
    [
      `${op} of keys and values of two lengths`,
      (t) => call(q(t), kv(t), t.f32(2, 6, 4, 8)),
      RangeError,
      words(op, 'value', '7', '[2, 6, 4, 8]'),
    ],
    [
      `${op} of two head dims`,
      (t) => call(q(t), t.f32(2, 7, 4, 9), kv(t)),
      RangeError,
      words(op, 'key', 'head dim 8', '[2, 7, 4, 9]'),
    ],
    [
      `${op} of key heads that do not divide`,
      (t) => call(q(t), t.f32(2, 7, 3, 8), t.f32(2, 7, 3, 8)),
      RangeError,
      words(op, 'key', 'divides', '[2, 7, 3, 8]'),
    ],
    [
      `${op} of more key heads than query heads`,
      (t) => call(q(t), t.f32(2, 7, 8, 8), t.f32(2, 7, 8, 8)),
      RangeError,
      words(op, 'key', 'divides', '[2, 7, 8, 8]'),
    ],
    [
      `${op} of other value heads`,
      (t) => call(q(t), kv(t), t.f32(2, 7, 2, 8)),
      RangeError,
      words(op, 'value', '4', '[2, 7, 2, 8]'),
    ],
    [
      `${op} of rank 5 with other groups`,
      (t) => call(t.f32(1, 5, 2, 2, 8), t.f32(1, 7, 4, 1, 8), t.f32(1, 7, 4, 1, 8)),
      RangeError,
      words(op, 'key', '[2, 2]', '[1, 7, 4, 1, 8]'),
    ],
    [
      `${op} without heads`,
      (t) => call(t.f32(2, 5, 0, 8), t.f32(2, 7, 0, 8), t.f32(2, 7, 0, 8)),
      RangeError,
      words(op, 'query', 'at least 1', '[2, 5, 0, 8]'),
    ],
    option('scale', NaN, RangeError, 'finite', 'NaN'),
    option('scale', Infinity, RangeError, 'finite', 'Infinity'),
    option('scale', 1e39, RangeError, 'finite float32', '1e+39'),
    option('scale', '1', TypeError, 'finite', "'1'"),
    option('p', 1, RangeError, 'below 1', '1'),
    option('p', 1 - 2 ** -30, RangeError, 'below 1 in float32', '0.9999999990686774'),
    option('p', -0.1, RangeError, 'at least 0', '-0.1'),
    option('p', NaN, RangeError, 'below 1', 'NaN'),
    option('p', true, TypeError, 'below 1', 'true'),
    option('seed', 0.5, RangeError, 'whole number', '0.5'),
    option('seed', 2 ** 32, RangeError, '32 bits', '4294967296'),
    option('seed', 'x', TypeError, 'whole number', "'x'"),
    option('softcap', 0, RangeError, 'above 0', '0'),
    option('softcap', -3, RangeError, 'above 0', '-3'),
    option('softcap', NaN, RangeError, 'finite', 'NaN'),
    option('softcap', 1e-46, RangeError, 'above 0 in float32', '1e-46'),
    option('outputDtype', 'int32', TypeError, "'float32' or 'bfloat16'", "'int32'"),
    option('sink', 3, TypeError, 'a tensor', '3'),
    [
      `${op} with a sink of a wrong length`,
      (t) => given(t, null, { sink: t.f32(3) }),
      RangeError,
      words(op, 'options.sink', '[4]', '[3]'),
    ],
    [
      `${op} with a bool sink`,
      (t) => given(t, null, { sink: t.of('bool', [4]) }),
      TypeError,
      words(op, 'options.sink', 'float32', 'bool'),
    ],
    [
      `${op} with a disposed sink`,
      (t) => given(t, null, { sink: t.disposed(4) }),
      TypeError,
      words(op, 'options.sink', 'a live tensor', 'disposed'),
    ],
    [
      `${op} with an unknown option`,
      (t) => given(t, null, { dropout: 0.1 }),
      TypeError,
      words(op, 'options', 'scale', "the unknown option 'dropout'"),
    ],
    [
      `${op} with null as options`,
      (t) => given(t, null, null),
      TypeError,
      words(op, 'options', 'an object', 'null'),
    ],
    [
      `${op} with a number as mask`,
      (t) => given(t, 1),
      TypeError,
      words(op, 'attnBias', 'null, an attnBias.* object', '1'),
    ],
    [
      `${op} with a word as mask`,
      (t) => given(t, 'causal'),
      TypeError,
      words(op, 'attnBias', 'attnBias', "'causal'"),
    ],
    [
      `${op} with an int32 bias`,
      (t) => given(t, t.of('int32', [5, 7])),
      TypeError,
      words(op, 'attnBias', 'float32', 'int32'),
    ],
    [
      `${op} with a bfloat16 bias`,
      (t) => given(t, t.bf16(5, 7)),
      TypeError,
      words(op, 'attnBias', 'float32', 'bfloat16'),
    ],
    [
      `${op} with a disposed bias`,
      (t) => given(t, t.disposed(5, 7)),
      TypeError,
      words(op, 'attnBias', 'a live tensor', 'disposed'),
    ],
    [
      `${op} with a bias that does not broadcast`,
      (t) => given(t, t.f32(2, 4, 5, 6)),
      RangeError,
      words(op, 'attnBias', '[2, 4, 5, 7]', '[2, 4, 5, 6]'),
    ],
    [
      `${op} with a bias of rank 6`,
      (t) => given(t, t.f32(1, 1, 2, 4, 5, 7)),
      RangeError,
      words(op, 'attnBias', '[2, 4, 5, 7]', '[1, 1, 2, 4, 5, 7]'),
    ],
    [
      `${op} with packed sequences in a batch`,
      (t) => given(t, attnBias.BlockDiagonalMask.fromSeqlens([2, 3], [3, 4])),
      RangeError,
      words(op, 'query', 'batch size 1', '2'),
    ],
    [
      `${op} with sequences longer than the queries`,
      (t) =>
        call(
          t.f32(1, 5, 4, 8),
          t.f32(1, 7, 4, 8),
          t.f32(1, 7, 4, 8),
          attnBias.BlockDiagonalMask.fromSeqlens([2, 4], [3, 4]),
        ),
      RangeError,
      words(op, 'query with a BlockDiagonalMask', '6 long', '5'),
    ],
    [
      `${op} with sequences longer than the keys`,
      (t) =>
        call(
          t.f32(1, 5, 4, 8),
          t.f32(1, 7, 4, 8),
          t.f32(1, 7, 4, 8),
          attnBias.BlockDiagonalMask.fromSeqlens([2, 3], [3, 5]),
        ),
      RangeError,
      words(op, 'key with a BlockDiagonalMask', '8 long', '7'),
    ],
  ];
}

const ATTENTION: readonly Rejected[] = [
  ...attentionRows('memoryEfficientAttention', memoryEfficientAttention as Attend),
  ...attentionRows('memoryEfficientAttentionForward', memoryEfficientAttentionForward as Attend),
  [
    'whyNotFused of an unknown op',
    (t) => whyNotFused('softmax', [t.f32(2)]),
    TypeError,
    words('whyNotFused', 'op', 'memoryEfficientAttention', "'softmax'"),
  ],
];

export function suite(_backend: TestBackend): void {
  describeRejections('errors: attention', ATTENTION);
}
