// SPDX-License-Identifier: Apache-2.0
import { rangeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { CAUSAL_FROM_BOTTOM_RIGHT, bottomRightWindow, causalWindow } from './band.js';
import type { Band } from './band.js';
import { PackedSequencesMask } from './packed_sequences.js';
import {
  PagedBlockDiagonalCausalWithOffsetPaddedKeysMask,
  PagedBlockDiagonalPaddedKeysMask,
} from './paged.js';
import { checkTotal, checkWhole } from './seqlens.js';

/**
 * What the padded-keys masks have in common: sequence b's keys begin at row `b * kvPadding` of the
 * key tensor, which has `blocks * kvPadding` rows, and the first kvSeqlen[b] of them are in use.
 */
abstract class PaddedKeysMask extends PackedSequencesMask {
  /** Key rows reserved for each sequence. */
  readonly kvPadding: number;
  protected readonly packedPlan: MaskPlan;

  protected constructor(
    qSeqlen: readonly number[],
    kvPadding: number,
    kvSeqlen: readonly number[],
    band: Band,
  ) {
    super(qSeqlen, kvSeqlen);
    const op = this.className;
    checkWhole(op, 'kvPadding', kvPadding, 0, 'It is the number of key rows of each sequence.');
    this.kvSeqlen.forEach((length, block) => {
      if (length > kvPadding) {
        throw rangeError({
          op,
          argument: `kvSeqlen[${block}]`,
          expected: `at most kvPadding, ${kvPadding}`,
          got: String(length),
          mend: 'Reserve more key rows for each sequence, or use fewer keys.',
        });
      }
    });
    this.kvPadding = kvPadding;
    const kStart = this.kvSeqlen.map((_, block) => block * kvPadding);
    this.packedPlan = this.planWith(band, kStart);
  }

  protected checkKeys(op: string, argument: string, keys: number): void {
    const blocks = this.kvSeqlen.length;
    checkTotal(op, argument, keys, blocks * this.kvPadding, `${blocks} blocks of kvPadding`);
  }
}

/**
 * Packed queries, keys in a cache with a fixed number of rows for each sequence: query i may attend
 * key j iff both belong to the same sequence and `j < kvSeqlen` of it. The unused rows never reach
 * the result, whatever they hold.
 *
 *     qSeqlen [1, 2], kvPadding 3, kvSeqlen [2, 1]
 *     1 1 0 0 0 0
 *     0 0 0 1 0 0
 *     0 0 0 1 0 0
 *
 * @example
 * const mask = attnBias.BlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], 512, [37, 402]);
 */
export class BlockDiagonalPaddedKeysMask extends PaddedKeysMask {
  static override readonly className: string = 'BlockDiagonalPaddedKeysMask';

  /**
   * @param qSeqlen number of queries of each sequence.
   * @param kvPadding key rows reserved for each sequence.
   * @param kvSeqlen keys in use of each sequence, from 0 to kvPadding.
   * @throws TypeError if a list is no array; RangeError for lengths that cannot be.
   */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvPadding: number,
    kvSeqlen: readonly number[],
  ): BlockDiagonalPaddedKeysMask {
    return new BlockDiagonalPaddedKeysMask(qSeqlen, kvPadding, kvSeqlen, NO_MASK);
  }

  /**
   * This mask with a window, aligned to the last query and the last key in use.
   * @throws RangeError if a side is no whole number from 0 up.
   */
  makeLocalAttention(
    windowLeft: number,
    windowRight: number,
  ): BlockDiagonalLocalAttentionPaddedKeysMask {
    return BlockDiagonalLocalAttentionPaddedKeysMask.fromSeqlensLocal(
      this.qSeqlen,
      this.kvPadding,
      this.kvSeqlen,
      windowLeft,
      windowRight,
    );
  }

  /** The same lengths with keys in pages: see PagedBlockDiagonalPaddedKeysMask.fromSeqlens. */
  makePaged(
    blockTables: readonly (readonly number[])[],
    pageSize: number,
  ): PagedBlockDiagonalPaddedKeysMask {
    const { qSeqlen, kvSeqlen } = this;
    return PagedBlockDiagonalPaddedKeysMask.fromSeqlens(qSeqlen, kvSeqlen, blockTables, pageSize);
  }
}

/**
 * Packed causal queries over a key cache: same sequence, `j < kvSeqlen` of it, and `j <= i + s`,
 * where `s` is the sequence's number of keys in use less that of its queries. The mask for
 * generating text: the last query sees all keys in use.
 *
 *     qSeqlen [1, 2], kvPadding 3, kvSeqlen [2, 3]
 *     1 1 0 0 0 0
 *     0 0 0 1 1 0
 *     0 0 0 1 1 1
 *
 * @example
 * const {BlockDiagonalCausalWithOffsetPaddedKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlens([1, 1], 512, [37, 402]);
 */
export class BlockDiagonalCausalWithOffsetPaddedKeysMask extends PaddedKeysMask {
  static override readonly className: string = 'BlockDiagonalCausalWithOffsetPaddedKeysMask';

  /** Parameters and errors as in BlockDiagonalPaddedKeysMask.fromSeqlens. */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvPadding: number,
    kvSeqlen: readonly number[],
  ): BlockDiagonalCausalWithOffsetPaddedKeysMask {
    return new BlockDiagonalCausalWithOffsetPaddedKeysMask(
      qSeqlen,
      kvPadding,
      kvSeqlen,
      CAUSAL_FROM_BOTTOM_RIGHT,
    );
  }

  /** The same lengths with keys in pages: see PagedBlockDiagonalPaddedKeysMask.fromSeqlens. */
  makePaged(
    blockTables: readonly (readonly number[])[],
    pageSize: number,
  ): PagedBlockDiagonalCausalWithOffsetPaddedKeysMask {
    return PagedBlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens(
      this.qSeqlen,
      this.kvSeqlen,
      blockTables,
      pageSize,
    );
  }
}

/**
 * Packed queries with a window over a key cache: same sequence, `j < kvSeqlen` of it, and
 * `i + s - windowLeft <= j <= i + s + windowRight`, where `s` is the sequence's number of keys in use
 * less that of its queries.
 *
 *     qSeqlen [1, 2], kvPadding 4, kvSeqlen [2, 4], windowLeft 1, windowRight 0
 *     1 1 0 0 0 0 0 0
 *     0 0 0 0 0 1 1 0
 *     0 0 0 0 0 0 1 1
 *
 * @example
 * const {BlockDiagonalLocalAttentionPaddedKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlensLocal([2, 6], 12, [9, 12], 3, 1);
 */
export class BlockDiagonalLocalAttentionPaddedKeysMask extends PaddedKeysMask {
  static override readonly className: string = 'BlockDiagonalLocalAttentionPaddedKeysMask';

  /**
   * As BlockDiagonalPaddedKeysMask.fromSeqlens, with the number of keys to either side.
   * @throws RangeError also if a side is no whole number from 0 up.
   */
  static fromSeqlensLocal(
    qSeqlen: readonly number[],
    kvPadding: number,
    kvSeqlen: readonly number[],
    windowLeft: number,
    windowRight: number,
  ): BlockDiagonalLocalAttentionPaddedKeysMask {
    const band = bottomRightWindow(this.className, windowLeft, windowRight);
    return new BlockDiagonalLocalAttentionPaddedKeysMask(qSeqlen, kvPadding, kvSeqlen, band);
  }
}

/**
 * Packed queries with a causal window over a key cache: same sequence, `j < kvSeqlen` of it, and
 * `i + s - windowSize < j <= i + s`, where `s` is the sequence's number of keys in use less that of
 * its queries.
 *
 *     qSeqlen [1, 2], kvPadding 4, kvSeqlen [2, 4], windowSize 2
 *     1 1 0 0 0 0 0 0
 *     0 0 0 0 0 1 1 0
 *     0 0 0 0 0 0 1 1
 *
 * @example
 * const {BlockDiagonalCausalLocalAttentionPaddedKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlensLocal([1, 1], 512, [37, 402], 128);
 */
export class BlockDiagonalCausalLocalAttentionPaddedKeysMask extends PaddedKeysMask {
  static override readonly className: string = 'BlockDiagonalCausalLocalAttentionPaddedKeysMask';

  /**
   * As BlockDiagonalPaddedKeysMask.fromSeqlens, with the number of keys that a query may attend.
   * @throws RangeError also if `windowSize` is no whole number above 0.
   */
  static fromSeqlensLocal(
    qSeqlen: readonly number[],
    kvPadding: number,
    kvSeqlen: readonly number[],
    windowSize: number,
  ): BlockDiagonalCausalLocalAttentionPaddedKeysMask {
    const band = causalWindow(this.className, windowSize, 'bottomRight');
    return new BlockDiagonalCausalLocalAttentionPaddedKeysMask(qSeqlen, kvPadding, kvSeqlen, band);
  }
}
