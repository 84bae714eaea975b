// SPDX-License-Identifier: Apache-2.0
/** What attention rejects of layouts, packed operands and saveDtype: class, words, no leak. */
import {
  attnBias,
  layers,
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
} from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections, words, wrong } from '../support/rejection.js';
import type { Rejected, TensorPool } from '../support/rejection.js';

type Attend = (q: unknown, k: unknown, v: unknown, bias?: unknown, options?: unknown) => unknown;

function layoutRows(op: string, call: Attend): Rejected[] {
  const given = (t: TensorPool, options: unknown) =>
    call(t.f32(2, 4, 5, 8), t.f32(2, 4, 7, 8), t.f32(2, 4, 7, 8), null, options);
  const layout = 'BHMK';
  return [
    [
      `${op} of an unknown layout`,
      (t) => given(t, { layout: 'BMKH' }),
      TypeError,
      words(op, 'options.layout', "'BMHK' or 'BHMK'", "'BMKH'"),
    ],
    [
      `${op} of an unknown saveDtype`,
      (t) => given(t, { layout, saveDtype: 'float16' }),
      TypeError,
      words(op, 'options.saveDtype', "'float32' or 'bfloat16'", "'float16'"),
    ],
    [
      `${op} in layout BHMK of rank 3`,
      (t) => call(t.f32(2, 5, 8), t.f32(2, 7, 8), t.f32(2, 7, 8), null, { layout }),
      RangeError,
      words(op, 'query', 'of rank 4', '[2, 5, 8]'),
    ],
    [
      `${op} in layout BHMK whose values are fewer than its keys`,
      (t) => call(t.f32(2, 4, 5, 8), t.f32(2, 4, 7, 8), t.f32(2, 4, 6, 8), null, { layout }),
      RangeError,
      words(op, 'value', 'of 7 rows (axis 2)', '[2, 4, 6, 8]'),
    ],
    [
      `${op} in layout BHMK with heads that do not divide the query's`,
      (t) => call(t.f32(2, 4, 5, 8), t.f32(2, 3, 7, 8), t.f32(2, 3, 7, 8), null, { layout }),
      RangeError,
      words(op, 'key', "heads (axis 1) that divides query's 4", '[2, 3, 7, 8]'),
    ],
  ];
}

const OP = 'memoryEfficientAttentionPacked';
const packed = (qkv: unknown, options: unknown, bias: unknown = null) =>
  memoryEfficientAttentionPacked(wrong(qkv), wrong(bias), wrong(options));

const PACKED: Rejected[] = [
  [
    'packed attention without options',
    (t) => packed(t.f32(2, 5, 96), undefined),
    TypeError,
    words(OP, 'options', 'an object', 'undefined'),
  ],
  [
    'packed attention without numHeads',
    (t) => packed(t.f32(2, 5, 96), {}),
    TypeError,
    words(OP, 'options.numHeads', 'a whole number above 0', 'undefined'),
  ],
  [
    'packed attention of numKvHeads that do not divide numHeads',
    (t) => packed(t.f32(2, 5, 96), { numHeads: 4, numKvHeads: 3 }),
    RangeError,
    words(OP, 'options.numKvHeads', 'a divisor of numHeads, 4', '3'),
  ],
  [
    'packed attention of a width that the heads do not divide',
    (t) => packed(t.f32(2, 5, 100), { numHeads: 4 }),
    RangeError,
    words(OP, 'qkv', '[B, M, (H + 2 G) * K]', '[2, 5, 100]'),
  ],
  [
    'packed attention of too many heads',
    (t) => packed(t.f32(2, 5, 12, 8), { numHeads: 4, numKvHeads: 2 }),
    RangeError,
    words(OP, 'qkv', 'H = 4, G = 2', '[2, 5, 12, 8]'),
  ],
  [
    'packed attention of rank 5 with grouped heads',
    (t) => packed(t.f32(2, 5, 3, 4, 8), { numHeads: 4, numKvHeads: 2 }),
    RangeError,
    words(OP, 'qkv', 'with G = H, [B, M, 3, H, K]', '[2, 5, 3, 4, 8]'),
  ],
  [
    'packed attention of no channels',
    (t) => packed(t.f32(2, 5, 0), { numHeads: 4 }),
    RangeError,
    words(OP, 'qkv', 'K is at least 1', '[2, 5, 0]'),
  ],
  [
    'packed attention of rank 2',
    (t) => packed(t.f32(5, 96), { numHeads: 4 }),
    RangeError,
    words(OP, 'qkv', '[B, M, (H + 2 G) * K]', '[5, 96]'),
  ],
  [
    'packed attention of three tensors',
    (t) => packed([t.f32(2, 5, 96)], { numHeads: 4 }),
    TypeError,
    words(OP, 'qkv', 'a tensor', ''),
  ],
  [
    'packed attention with a layout',
    (t) => packed(t.f32(2, 5, 96), { numHeads: 4, layout: 'BHMK' }),
    TypeError,
    words(OP, 'options', 'numHeads, numKvHeads, scale', "the unknown option 'layout'"),
  ],
  [
    'packed attention of packed sequences in a batch',
    (t) => packed(t.f32(2, 5, 96), { numHeads: 4 }, attnBias.BlockDiagonalMask.fromSeqlens([2, 3])),
    RangeError,
    words(OP, 'qkv', 'batch size 1', '2'),
  ],
];

const SIZES = { numHeads: 2, keyDim: 8 };
const MAKERS: [name: string, make: (saveDtype: 'float32') => unknown][] = [
  ['memoryEfficientAttention', (saveDtype) => layers.memoryEfficientAttention({ saveDtype })],
  ['qkNormAttention', (saveDtype) => layers.qkNormAttention({ saveDtype })],
  ['multiHeadAttention', (saveDtype) => layers.multiHeadAttention({ ...SIZES, saveDtype })],
];

const LAYERS = MAKERS.map(([name, make]): Rejected => [
  `layers.${name} of an unknown saveDtype`,
  () => make(wrong('half')),
  RangeError,
  words(name, 'saveDtype', "'float32', 'bfloat16'", "'half'"),
]);

export function suite(_backend: TestBackend): void {
  describeRejections('errors: layouts of attention', [
    ...layoutRows('memoryEfficientAttention', memoryEfficientAttention as Attend),
    ...layoutRows('memoryEfficientAttentionForward', memoryEfficientAttentionForward as Attend),
    ...PACKED,
    ...LAYERS,
  ]);
}
