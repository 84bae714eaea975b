// SPDX-License-Identifier: Apache-2.0
/** Every rejection of tensors and their lengths, by its class and its words; nothing leaks. */
import * as tf from '@tensorflow/tfjs';
import * as attnBias from '../../src/attn_bias/index.js';
import { rejects, untyped } from '../support/exact_error.js';

const {
  BlockDiagonalGappyKeysMask,
  BlockDiagonalMask,
  BlockDiagonalPaddedKeysMask,
  LowerTriangularMask,
  LowerTriangularMaskWithTensorBias,
} = attnBias;

const TOTAL_MEND = 'Make the mask from the lengths of the tensors that it is used with.';

describe('attnBias errors with tensors', () => {
  before(() => tf.setBackend('cpu'));

  describe('lengths of the tensors', () => {
    const op = 'memoryEfficientAttention';
    rejects(
      'queries',
      () => BlockDiagonalMask.fromSeqlens([2, 1], [3, 2]).plan(4, 5, op),
      RangeError,
      `${op}: query with a BlockDiagonalMask must be 3 long (the sum of qSeqlen), got 4. ` +
        TOTAL_MEND,
    );
    rejects(
      'keys of a block diagonal mask',
      () => BlockDiagonalMask.fromSeqlens([2, 1], [3, 2]).makeCausal().plan(3, 6, op),
      RangeError,
      `${op}: key with a BlockDiagonalCausalMask must be 5 long (the sum of kvSeqlen), got 6. ` +
        TOTAL_MEND,
    );
    rejects(
      'keys of a padded mask',
      () => BlockDiagonalPaddedKeysMask.fromSeqlens([2, 1], 4, [3, 2]).plan(3, 5, op),
      RangeError,
      `${op}: key with a BlockDiagonalPaddedKeysMask must be 8 long (2 blocks of kvPadding), ` +
        `got 5. ${TOTAL_MEND}`,
    );
    rejects(
      'keys of a gappy mask',
      () => BlockDiagonalGappyKeysMask.fromSeqlens([2], [1, 6], [3]).plan(2, 7, op),
      RangeError,
      `${op}: key with a BlockDiagonalGappyKeysMask must be 6 long (the last entry of ` +
        `kvSeqstarts), got 7. ${TOTAL_MEND}`,
    );
    rejects(
      'materialize names itself',
      () => BlockDiagonalMask.fromSeqlens([2]).materialize([3, 2]),
      RangeError,
      'BlockDiagonalMask.materialize: query with a BlockDiagonalMask must be 2 long ' +
        `(the sum of qSeqlen), got 3. ${TOTAL_MEND}`,
    );
    rejects(
      'materialize needs two axes',
      () => new LowerTriangularMask().materialize([3]),
      RangeError,
      'LowerTriangularMask.materialize: shape must be [...batch, queries, keys], got [3]. ' +
        'Pass at least the two lengths, such as [4, 4].',
    );
    rejects(
      'materialize needs a shape',
      () => new LowerTriangularMask().materialize(untyped(3)),
      TypeError,
      'LowerTriangularMask.materialize: shape must be an array of sizes, got 3. ' +
        'Pass a shape such as [2, 3].',
    );
  });

  describe('bias', () => {
    const CAST = "Convert it with tf.cast(x, 'float32').";
    rejects(
      'no tensor',
      () => new LowerTriangularMask().addBias(untyped([1])),
      TypeError,
      'LowerTriangularMaskWithTensorBias: bias must be a tensor, got [1]. ' +
        'Make one with tf.tensor(); in a tf.layers model use the layers of this package.',
    );
    rejects(
      'a wrong dtype',
      () => tf.tidy(() => void new LowerTriangularMaskWithTensorBias(tf.zeros([2, 2], 'int32'))),
      TypeError,
      'LowerTriangularMaskWithTensorBias: bias must be a float32 tensor, got dtype int32. ' + CAST,
    );
    rejects(
      'a second bias of a wrong dtype',
      () =>
        tf.tidy(() => {
          const mask = new LowerTriangularMaskWithTensorBias(tf.zeros([2, 2]));
          mask.addBias(tf.zeros([2, 2], 'int32'));
        }),
      TypeError,
      'LowerTriangularMaskWithTensorBias: bias must be a float32 tensor, got dtype int32. ' + CAST,
    );
    rejects(
      'a second bias that does not broadcast with the first',
      () =>
        tf.tidy(() => {
          const mask = new LowerTriangularMaskWithTensorBias(tf.zeros([2, 1, 3]));
          mask.addBias(tf.zeros([2, 2]));
        }),
      RangeError,
      'LowerTriangularMaskWithTensorBias: bias must be broadcastable with the bias of shape ' +
        '[2, 1, 3], got shape [2, 2]. Both are broadcastable to [B, H, Mq, Mk].',
    );
    rejects(
      'materialize in a shape that the bias has not',
      () =>
        tf.tidy(() => {
          new LowerTriangularMaskWithTensorBias(tf.zeros([2, 3, 3])).materialize([1, 3, 3]);
        }),
      RangeError,
      'LowerTriangularMaskWithTensorBias.materialize: shape must be one that the bias of shape ' +
        '[2, 3, 3] broadcasts to, got [1, 3, 3]. ' +
        'Pass [batch, heads, queries, keys] as the bias has them.',
    );
  });

  describe('fromTensorList and split', () => {
    const op = 'BlockDiagonalMask.fromTensorList';
    const packing = (make: () => unknown[]) => () =>
      tf.tidy(() => void BlockDiagonalMask.fromTensorList(untyped<tf.Tensor[]>(make())));
    rejects(
      'an empty list',
      packing(() => []),
      TypeError,
      `${op}: list must be an array of at least one tensor, got []. ` +
        'Pass tensors of shape [1, M_i, ...] or [B_i, M_i, ...].',
    );
    rejects(
      'no tensors',
      packing(() => [tf.zeros([1, 2]), 7]),
      TypeError,
      `${op}: list[1] must be a tensor, got 7. Make one with tf.tensor(); in a tf.layers model use the layers of this package.`,
    );
    rejects(
      'a rank below 2',
      packing(() => [tf.zeros([3])]),
      RangeError,
      `${op}: list[0] must be of shape [batch, length, ...], got shape [3]. ` +
        'Give a single sequence a batch axis with tf.expandDims(x, 0).',
    );
    rejects(
      'two dtypes',
      packing(() => [tf.zeros([1, 2]), tf.zeros([1, 2], 'int32')]),
      TypeError,
      `${op}: list[1] must be float32 like list[0], got dtype int32. ` +
        'Convert the tensors to one dtype first.',
    );
    rejects(
      'different last axes',
      packing(() => [tf.zeros([1, 2, 4, 8]), tf.zeros([1, 3, 4, 9])]),
      RangeError,
      `${op}: list[1] must be of shape [batch, length, 4, 8], got shape [1, 3, 4, 9]. ` +
        'Only batch and length may differ within the list.',
    );
    rejects(
      'a disposed tensor',
      packing(() => {
        const x = tf.zeros([1, 2]);
        x.dispose();
        return [x];
      }),
      TypeError,
      `${op}: list[0] must be a live tensor, got a disposed one. ` +
        'Keep it with tf.keep(), or move the call inside the tf.tidy() that made it.',
    );
    const SPLIT_MEND = "Pass a tensor with the rows of this mask's sequences.";
    for (const shape of [[1, 4, 2], [2, 3, 2], [3]]) {
      rejects(
        `splitting shape [${shape.join(', ')}]`,
        () => tf.tidy(() => void BlockDiagonalMask.fromSeqlens([2, 1]).split(tf.zeros(shape))),
        RangeError,
        `BlockDiagonalMask.split: x must be of shape [1, 3, ...], got shape [${shape.join(', ')}]. ` +
          SPLIT_MEND,
      );
    }
    rejects(
      'splitKv goes by the keys',
      () => tf.tidy(() => void BlockDiagonalMask.fromSeqlens([2], [5]).splitKv(tf.zeros([1, 2]))),
      RangeError,
      `BlockDiagonalMask.splitKv: x must be of shape [1, 5, ...], got shape [1, 2]. ${SPLIT_MEND}`,
    );
    rejects(
      'split where queries and keys differ',
      () => tf.tidy(() => void BlockDiagonalMask.fromSeqlens([2], [5]).split(tf.zeros([1, 2]))),
      RangeError,
      'BlockDiagonalMask.split: kvSeqlen must be the same as qSeqlen, [2], got [5]. ' +
        'Use splitQueries() for queries and outputs, splitKv() for keys and values.',
    );
    rejects(
      'split of no tensor',
      () => BlockDiagonalMask.fromSeqlens([2]).split(untyped<tf.Tensor>(null)),
      TypeError,
      'BlockDiagonalMask.split: x must be a tensor, got null. ' +
        'Make one with tf.tensor(); in a tf.layers model use the layers of this package.',
    );
  });
});
