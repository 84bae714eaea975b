// SPDX-License-Identifier: Apache-2.0
/** What mergeAttentions rejects: class, words, no leak. */
import { mergeAttentions } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections, words, wrong } from '../support/rejection.js';
import type { Rejected } from '../support/rejection.js';

const OP = 'mergeAttentions';
const MERGE: readonly Rejected[] = [
  [
    'no lists',
    () => mergeAttentions(wrong(null), wrong(null)),
    TypeError,
    words(OP, 'outputs', 'an array', 'null'),
  ],
  [
    'a tensor for a list',
    (t) => mergeAttentions([t.f32(1, 3, 2, 4)], wrong(t.f32(1, 2, 3))),
    TypeError,
    words(OP, 'logSumExps', 'an array', 'Tensor'),
  ],
  [
    'empty lists',
    () => mergeAttentions([], []),
    RangeError,
    words(OP, 'outputs', 'at least one', '[]'),
  ],
  [
    'lists of two lengths',
    (t) => mergeAttentions([t.f32(1, 3, 2, 4)], [t.f32(1, 2, 3), t.f32(1, 2, 3)]),
    RangeError,
    words(OP, 'logSumExps', '1', '2'),
  ],
  [
    'outputs of two shapes',
    (t) =>
      mergeAttentions([t.f32(1, 3, 2, 4), t.f32(1, 3, 2, 5)], [t.f32(1, 2, 3), t.f32(1, 2, 3)]),
    RangeError,
    words(OP, 'outputs[1]', '[1, 3, 2, 4]', '[1, 3, 2, 5]'),
  ],
  [
    'outputs of two dtypes',
    (t) =>
      mergeAttentions(wrong([t.f32(1, 3, 2, 4), t.bf16(1, 3, 2, 4)]), [
        t.f32(1, 2, 3),
        t.f32(1, 2, 3),
      ]),
    TypeError,
    words(OP, 'outputs[1]', 'float32', 'bfloat16'),
  ],
  [
    'an output of rank 2',
    (t) => mergeAttentions([t.f32(3, 4)], [t.f32(1, 2, 3)]),
    RangeError,
    words(OP, 'outputs[0]', 'rank 3, 4 or 5', '[3, 4]'),
  ],
  [
    'a logSumExp of another shape',
    (t) => mergeAttentions([t.f32(1, 3, 2, 4)], [t.f32(1, 3, 2)]),
    RangeError,
    words(OP, 'logSumExps[0]', '[1, 2, 3]', '[1, 3, 2]'),
  ],
  [
    'an int32 logSumExp',
    (t) => mergeAttentions([t.f32(1, 3, 2, 4)], [t.of('int32', [1, 2, 3])]),
    TypeError,
    words(OP, 'logSumExps[0]', 'float32', 'int32'),
  ],
  [
    'a disposed output',
    (t) => mergeAttentions([t.disposed(1, 3, 2, 4)], [t.f32(1, 2, 3)]),
    TypeError,
    words(OP, 'outputs[0]', 'a live tensor', 'disposed'),
  ],
];

export function suite(_backend: TestBackend): void {
  describeRejections('errors: mergeAttentions', MERGE);
}
