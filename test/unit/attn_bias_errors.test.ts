// SPDX-License-Identifier: Apache-2.0
/** Every rejection of lengths, windows and pages, by its class and its words; nothing leaks. */
import { expect } from 'chai';
import * as tf from '@tensorflow/tfjs';
import * as attnBias from '../../src/attn_bias/index.js';
import { rejects, untyped } from '../support/exact_error.js';

const {
  BlockDiagonalCausalLocalAttentionPaddedKeysMask,
  BlockDiagonalCausalWithOffsetGappyKeysMask,
  BlockDiagonalCausalWithOffsetPaddedKeysMask,
  BlockDiagonalGappyKeysMask,
  BlockDiagonalLocalAttentionPaddedKeysMask,
  BlockDiagonalMask,
  BlockDiagonalPaddedKeysMask,
  LocalAttentionFromBottomRightMask,
  LowerTriangularFromBottomRightLocalAttentionMask,
  LowerTriangularFromBottomRightMask,
  PagedBlockDiagonalCausalWithOffsetPaddedKeysMask,
  PagedBlockDiagonalPaddedKeysMask,
} = attnBias;

const WINDOW_MEND = 'It is the number of keys that a query may attend: 1 means only its own.';
const SIDE_MEND = 'It is the number of keys that a query may attend on that side of its own.';

describe('attnBias errors', () => {
  before(() => tf.setBackend('cpu'));

  describe('lengths', () => {
    rejects(
      'no array',
      () => BlockDiagonalMask.fromSeqlens(untyped(5)),
      TypeError,
      'BlockDiagonalMask: qSeqlen must be an array of lengths, one to a sequence, got 5. ' +
        'Pass for example [3, 6, 2]; turn a typed array into one with Array.from().',
    );
    rejects(
      'an empty list',
      () => BlockDiagonalMask.fromSeqlens([]),
      RangeError,
      'BlockDiagonalMask: qSeqlen must be the lengths of at least one sequence, got []. ' +
        'Skip the call when there is no sequence; a sequence may have length 0.',
    );
    for (const bad of [-1, 1.5, NaN, Infinity]) {
      rejects(
        `the length ${bad}`,
        () => BlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], 4, [2, bad]),
        RangeError,
        `BlockDiagonalPaddedKeysMask: kvSeqlen[1] must be a whole number, 0 or above, got ${bad}. ` +
          'Lengths count rows of a tensor.',
      );
    }
    rejects(
      'lists that differ in length',
      () => BlockDiagonalMask.fromSeqlens([1, 2], [3]),
      RangeError,
      'BlockDiagonalMask: kvSeqlen must be of 2 entries, as qSeqlen has 2, got 1 entries. ' +
        'Give one entry for each sequence; a sequence without keys has length 0.',
    );
    rejects(
      'a derived class is named itself',
      () => BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens([-2], 4, [2]),
      RangeError,
      'BlockDiagonalCausalWithOffsetPaddedKeysMask: qSeqlen[0] must be a whole number, ' +
        '0 or above, got -2. Lengths count rows of a tensor.',
    );
  });

  describe('windows', () => {
    for (const bad of [0, -3, 2.5]) {
      const words = (name: string) =>
        `${name}: windowSize must be a whole number above 0, got ${bad}. ${WINDOW_MEND}`;
      const blocks = () => BlockDiagonalMask.fromSeqlens([2]);
      rejects(
        `window size ${bad}, from bottom right`,
        () => new LowerTriangularFromBottomRightMask().makeLocalAttention(bad),
        RangeError,
        words('LowerTriangularFromBottomRightLocalAttentionMask'),
      );
      rejects(
        `window size ${bad}, blocks`,
        () => blocks().makeLocalAttention(bad),
        RangeError,
        words('BlockDiagonalCausalLocalAttentionMask'),
      );
      rejects(
        `window size ${bad}, blocks from bottom right`,
        () => blocks().makeLocalAttentionFromBottomRight(bad),
        RangeError,
        words('BlockDiagonalCausalLocalAttentionFromBottomRightMask'),
      );
      rejects(
        `window size ${bad}, padded keys`,
        () => BlockDiagonalCausalLocalAttentionPaddedKeysMask.fromSeqlensLocal([1], 2, [1], bad),
        RangeError,
        words('BlockDiagonalCausalLocalAttentionPaddedKeysMask'),
      );
    }
    rejects(
      'no window size',
      () => new LowerTriangularFromBottomRightLocalAttentionMask(untyped(undefined)),
      RangeError,
      'LowerTriangularFromBottomRightLocalAttentionMask: windowSize must be a whole number ' +
        `above 0, got undefined. ${WINDOW_MEND}`,
    );
    for (const bad of [-1, 0.5]) {
      rejects(
        `left side ${bad}`,
        () => new LocalAttentionFromBottomRightMask({ windowLeft: bad, windowRight: 0 }),
        RangeError,
        'LocalAttentionFromBottomRightMask: windowLeft must be a whole number, 0 or above, ' +
          `got ${bad}. ${SIDE_MEND}`,
      );
      rejects(
        `right side ${bad}, padded keys`,
        () => BlockDiagonalPaddedKeysMask.fromSeqlens([1], 2, [1]).makeLocalAttention(0, bad),
        RangeError,
        'BlockDiagonalLocalAttentionPaddedKeysMask: windowRight must be a whole number, ' +
          `0 or above, got ${bad}. ${SIDE_MEND}`,
      );
    }
    rejects(
      'left side of padded keys',
      () => BlockDiagonalLocalAttentionPaddedKeysMask.fromSeqlensLocal([1], 2, [1], -4, 0),
      RangeError,
      'BlockDiagonalLocalAttentionPaddedKeysMask: windowLeft must be a whole number, 0 or above, ' +
        `got -4. ${SIDE_MEND}`,
    );
    rejects(
      'a window that is no object',
      () => new LocalAttentionFromBottomRightMask(untyped(3)),
      TypeError,
      'LocalAttentionFromBottomRightMask: window must be an object {windowLeft, windowRight}, ' +
        'got 3. Pass for example {windowLeft: 64, windowRight: 0}.',
    );
  });

  describe('blocks that xFormers refuses', () => {
    const words = (name: string) =>
      `${name}: kvSeqlen[1] must be at least 3, the number of its queries, got 2. ` +
      'Take a mask aligned to the top left: makeCausal() or makeLocalAttention().';
    const blocks = () => BlockDiagonalMask.fromSeqlens([1, 3], [1, 2]);
    rejects(
      'causal from bottom right with fewer keys than queries',
      () => blocks().makeCausalFromBottomRight(),
      RangeError,
      words('BlockDiagonalCausalFromBottomRightMask'),
    );
    rejects(
      'local from bottom right with fewer keys than queries',
      () => blocks().makeLocalAttentionFromBottomRight(2),
      RangeError,
      words('BlockDiagonalCausalLocalAttentionFromBottomRightMask'),
    );
    rejects(
      'a window that leaves a query without keys',
      () => BlockDiagonalMask.fromSeqlens([1, 5], [1, 2]).makeLocalAttention(3),
      RangeError,
      'BlockDiagonalCausalLocalAttentionMask: kvSeqlen[1] must be above 2, or the last of its ' +
        '5 queries see no key, got 2 with windowSize 3. ' +
        'Take a larger window, or makeLocalAttentionFromBottomRight().',
    );
  });

  describe('padded keys', () => {
    rejects(
      'more keys than rows',
      () => BlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], 4, [4, 5]),
      RangeError,
      'BlockDiagonalPaddedKeysMask: kvSeqlen[1] must be at most kvPadding, 4, got 5. ' +
        'Reserve more key rows for each sequence, or use fewer keys.',
    );
    rejects(
      'a padding that is no whole number',
      () => BlockDiagonalPaddedKeysMask.fromSeqlens([1], 4.5, [1]),
      RangeError,
      'BlockDiagonalPaddedKeysMask: kvPadding must be a whole number, 0 or above, got 4.5. ' +
        'It is the number of key rows of each sequence.',
    );
  });

  describe('gappy keys', () => {
    rejects(
      'one start too few',
      () => BlockDiagonalGappyKeysMask.fromSeqlens([1, 1], [0, 4], [1, 1]),
      RangeError,
      'BlockDiagonalGappyKeysMask: kvSeqstarts must be of 3 entries, as qSeqlen has 2, ' +
        'got 2 entries. Give the first key row of each sequence, and last the number of key rows.',
    );
    rejects(
      'starts that decrease',
      () => BlockDiagonalGappyKeysMask.fromSeqlens([1, 1], [4, 2, 9], [0, 1]),
      RangeError,
      'BlockDiagonalGappyKeysMask: kvSeqstarts[1] must be at least kvSeqstarts[0], 4, got 2. ' +
        'Give the starts in the order of the rows.',
    );
    rejects(
      'a negative start',
      () => BlockDiagonalGappyKeysMask.fromSeqlens([1], [-1, 3], [1]),
      RangeError,
      'BlockDiagonalGappyKeysMask: kvSeqstarts[0] must be a whole number, 0 or above, got -1. ' +
        'Lengths count rows of a tensor.',
    );
    rejects(
      'keys that overlap',
      () => BlockDiagonalCausalWithOffsetGappyKeysMask.fromSeqlens([1, 1], [1, 4, 9], [4, 5]),
      RangeError,
      'BlockDiagonalCausalWithOffsetGappyKeysMask: kvSeqlen[0] must be at most 3, as its keys go ' +
        'from row 1 to before row 4, got 4. ' +
        'Keys of two sequences must not overlap, nor end past the last entry of kvSeqstarts.',
    );
  });

  describe('pages', () => {
    const paged = (tables: unknown, pageSize = 2) =>
      PagedBlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], [3, 1], untyped(tables), pageSize);
    const name = 'PagedBlockDiagonalPaddedKeysMask';
    rejects(
      'tables that are no arrays',
      () => paged([0, 1]),
      TypeError,
      `${name}: blockTables must be an array with one array of page numbers for each sequence, ` +
        'got [0, 1]. Pass for example [[0, 3], [1, 2]].',
    );
    rejects(
      'one table too few',
      () => paged([[0, 1]]),
      RangeError,
      `${name}: blockTables must be of 2 entries, as qSeqlen has 2, got 1 entries. ` +
        'Give one entry for each sequence; a sequence without keys has length 0.',
    );
    rejects(
      'tables of different lengths',
      () => paged([[0, 1], [2]]),
      RangeError,
      `${name}: blockTables[1] must be of 2 pages like blockTables[0], got 1. ` +
        'Fill shorter tables up with any page of the key tensor; it is not read.',
    );
    rejects(
      'too few pages',
      () => paged([[0], [1]]),
      RangeError,
      `${name}: blockTables[0] must be of at least 2 pages for 3 keys of 2 to a page, got 1. ` +
        'Give every sequence enough pages for its keys.',
    );
    for (const bad of [-1, 0.5]) {
      rejects(
        `page number ${bad}`,
        () =>
          paged([
            [0, 1],
            [2, bad],
          ]),
        RangeError,
        `${name}: blockTables[1][1] must be a whole number, 0 or above, got ${bad}. ` +
          'Fill unused entries up with 0: they are not read.',
      );
    }
    rejects(
      'page size 0',
      () =>
        paged(
          [
            [0, 1],
            [2, 3],
          ],
          0,
        ),
      RangeError,
      `${name}: pageSize must be a whole number, 1 or above, got 0. ` +
        'It is the number of key rows of a page.',
    );
    rejects(
      'makePaged with too few pages',
      () =>
        BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens([1], 8, [5]).makePaged([[0, 1]], 2),
      RangeError,
      'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask: blockTables[0] must be of at least 3 ' +
        'pages for 5 keys of 2 to a page, got 2. Give every sequence enough pages for its keys.',
    );
    rejects(
      'a page past the end of the key tensor',
      () =>
        paged([
          [0, 1],
          [4, 2],
        ]).plan(2, 9, 'memoryEfficientAttention'),
      RangeError,
      `memoryEfficientAttention: key with a ${name} must be at least 10 long (page 4 is in use), ` +
        'got 9. Page numbers count pages of pageSize rows from the start of the key tensor.',
    );
  });

  it('PagedBlockDiagonalCausalWithOffsetPaddedKeysMask is named in its own errors', () => {
    const Paged = PagedBlockDiagonalCausalWithOffsetPaddedKeysMask;
    expect(() => Paged.fromSeqlens([1], [1], [[-1]], 1)).to.throw(
      RangeError,
      'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask: blockTables[0][0] must be',
    );
  });
});
