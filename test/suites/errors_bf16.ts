// SPDX-License-Identifier: Apache-2.0
/** What the bfloat16 functions reject: class, words, no leak. */
import { fromBFloat16Bits, toBFloat16, toFloat32 } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections } from '../support/rejection.js';
import type { Rejected } from '../support/rejection.js';

const REJECTED: readonly Rejected[] = [
  [
    'no tensor',
    () => toBFloat16([1] as never),
    TypeError,
    /^toBFloat16: x must be a tensor, got \[1\]\. /,
  ],
  [
    'an int32 tensor',
    (t) => toBFloat16(t.of('int32', [2])),
    TypeError,
    /^toBFloat16: x must be a float32 or bfloat16 tensor, got dtype int32\. .*tf\.cast/,
  ],
  [
    'toFloat32 of a bool tensor',
    (t) => toFloat32(t.of('bool', [2])),
    TypeError,
    /^toFloat32: x must be .*got dtype bool/,
  ],
  [
    'plain numbers as bits',
    () => fromBFloat16Bits([1] as never, [1]),
    TypeError,
    /^fromBFloat16Bits: bits must be a Uint16Array/,
  ],
  [
    'too few bits',
    () => fromBFloat16Bits(new Uint16Array(5), [2, 3]),
    RangeError,
    /^fromBFloat16Bits: bits must be 6 values for shape \[2, 3\], got 5\./,
  ],
  [
    'a shape that is none',
    () => fromBFloat16Bits(new Uint16Array(1), 1 as never),
    TypeError,
    /^fromBFloat16Bits: shape must be an array/,
  ],
  [
    'a negative size',
    () => fromBFloat16Bits(new Uint16Array(0), [-1]),
    RangeError,
    /^fromBFloat16Bits: shape must be whole numbers/,
  ],
  [
    'reshape to another size',
    (t) => t.bf16(2).reshape([3]),
    RangeError,
    /^reshape: shape must be of 2 elements, got \[3\]\./,
  ],
  [
    'reshape to a number',
    (t) => t.bf16(2).reshape(2 as never),
    TypeError,
    /^reshape: shape must be an array of sizes, got 2\./,
  ],
  ['two unknown sizes', (t) => t.bf16(2).reshape([-1, -1]), RangeError, /^reshape: shape must be/],
  [
    'a disposed float32 tensor',
    (t) => toBFloat16(t.disposed(2)),
    TypeError,
    /^toBFloat16: x must be a live tensor, got a disposed one\. .*tf\.keep/,
  ],
  [
    'a disposed bfloat16 tensor',
    (t) => toFloat32(t.disposedBf16(2)),
    TypeError,
    /^toFloat32: x must be a live tensor, got a disposed BFloat16Tensor\./,
  ],
];

export function suite(_backend: TestBackend): void {
  describeRejections('errors: bfloat16', REJECTED);
}
