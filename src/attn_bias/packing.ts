// SPDX-License-Identifier: Apache-2.0
/** Sequences of different lengths into one tensor [1, sum of lengths, …], and back. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isBFloat16 } from '../bf16/bfloat16_tensor.js';
import { checkTensor } from '../ops/arguments.js';
import { toBFloat16, toFloat32 } from '../ops/bfloat16.js';
import type { FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { sameShape } from '../spec/shape.js';

/** The leading axes [size, length] of a tensor that was packed: `size` sequences of one length. */
export interface PackedBatch {
  readonly size: number;
  readonly length: number;
}

/** Throws unless `list` holds live tensors [B_i, M_i, ...rest] of one dtype and one `rest`. */
export function checkTensorList(op: string, list: unknown): void {
  if (!Array.isArray(list) || list.length === 0) {
    throw typeError({
      op,
      argument: 'list',
      expected: 'an array of at least one tensor',
      got: describe(list),
      mend: 'Pass tensors of shape [1, M_i, ...] or [B_i, M_i, ...].',
    });
  }
  let first: FloatTensor | undefined;
  for (const [index, x] of list.entries()) {
    const argument = `list[${index}]`;
    checkTensor(op, argument, x);
    first ??= x;
    if (x.rank < 2) {
      throw rangeError({
        op,
        argument,
        expected: 'of shape [batch, length, ...]',
        got: `shape ${describe(x.shape)}`,
        mend: 'Give a single sequence a batch axis with tf.expandDims(x, 0).',
      });
    }
    if (x.dtype !== first.dtype) {
      throw typeError({
        op,
        argument,
        expected: `${first.dtype} like list[0]`,
        got: `dtype ${x.dtype}`,
        mend: 'Convert the tensors to one dtype first.',
      });
    }
    if (!sameShape(x.shape.slice(2), first.shape.slice(2))) {
      throw rangeError({
        op,
        argument,
        expected: `of shape [batch, length${first.shape
          .slice(2)
          .map((n) => `, ${n}`)
          .join('')}]`,
        got: `shape ${describe(x.shape)}`,
        mend: 'Only batch and length may differ within the list.',
      });
    }
  }
}

/** The tensors of a checked list, one after the other: [1, sum of B_i * M_i, ...rest]. */
export function pack<T extends FloatTensor>(list: readonly T[]): T {
  return tf.tidy(() => {
    const rows = list.map((x) => {
      const [size, length, ...rest] = x.shape as [number, number, ...number[]];
      return tf.reshape(asTensor(x), [1, size * length, ...rest]);
    });
    return likeInput(list[0]!, tf.concat(rows, 1));
  });
}

/** The reverse of pack: `x` of shape [1, sum of size * length, ...] as one tensor for each batch. */
export function unpack<T extends FloatTensor>(
  op: string,
  x: T,
  batches: readonly PackedBatch[],
): T[] {
  checkTensor(op, 'x', x);
  const total = batches.reduce((sum, { size, length }) => sum + size * length, 0);
  if (x.rank < 2 || x.shape[0] !== 1 || x.shape[1] !== total) {
    throw rangeError({
      op,
      argument: 'x',
      expected: `of shape [1, ${total}, ...]`,
      got: `shape ${describe(x.shape)}`,
      mend: "Pass a tensor with the rows of this mask's sequences.",
    });
  }
  return tf.tidy(() => {
    const rows = asTensor(x);
    const rest = x.shape.slice(2);
    let start = 0;
    return batches.map(({ size, length }) => {
      const part = tf.slice(rows, [0, start, ...rest.map(() => 0)], [1, size * length, ...rest]);
      start += size * length;
      return likeInput(x, tf.reshape(part, [size, length, ...rest]));
    });
  });
}

function asTensor(x: FloatTensor): Tensor {
  return isBFloat16(x) ? toFloat32(x) : x;
}

/** Gives the rearranged values the storage type that they had; exact, as they are the same values. */
function likeInput<T extends FloatTensor>(input: T, values: Tensor): T {
  const result: FloatTensor = isBFloat16(input) ? toBFloat16(values) : values;
  return result as T;
}
