// SPDX-License-Identifier: Apache-2.0
import { rangeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { CAUSAL_FROM_BOTTOM_RIGHT } from './band.js';
import type { Band } from './band.js';
import { PackedSequencesMask } from './packed_sequences.js';
import { checkCount, checkSeqlens, checkTotal } from './seqlens.js';

/**
 * What the gappy masks have in common: sequence b's keys are the rows kvSeqstarts[b] to
 * kvSeqstarts[b] + kvSeqlen[b] - 1 of the key tensor. The rows between are unused.
 */
abstract class GappyKeysMask extends PackedSequencesMask {
  /** First key row of each sequence, and last the number of key rows. */
  readonly kvSeqstarts: readonly number[];
  protected readonly packedPlan: MaskPlan;

  protected constructor(
    qSeqlen: readonly number[],
    kvSeqstarts: readonly number[],
    kvSeqlen: readonly number[],
    band: Band,
  ) {
    super(qSeqlen, kvSeqlen);
    this.kvSeqstarts = checkSeqlens(this.className, 'kvSeqstarts', kvSeqstarts);
    checkCount(this.className, 'kvSeqstarts', this.kvSeqstarts, this.qSeqlen.length, 1);
    this.kvSeqlen.forEach((length, block) => this.checkBlock(block, length));
    this.packedPlan = this.planWith(band, this.kvSeqstarts.slice(0, -1));
  }

  protected checkKeys(op: string, argument: string, keys: number): void {
    const rows = this.kvSeqstarts[this.kvSeqlen.length]!;
    checkTotal(op, argument, keys, rows, 'the last entry of kvSeqstarts');
  }

  private checkBlock(block: number, length: number): void {
    const start = this.kvSeqstarts[block]!;
    const next = this.kvSeqstarts[block + 1]!;
    if (next < start) {
      throw rangeError({
        op: this.className,
        argument: `kvSeqstarts[${block + 1}]`,
        expected: `at least kvSeqstarts[${block}], ${start}`,
        got: String(next),
        mend: 'Give the starts in the order of the rows.',
      });
    }
    if (start + length > next) {
      throw rangeError({
        op: this.className,
        argument: `kvSeqlen[${block}]`,
        expected: `at most ${next - start}, as its keys go from row ${start} to before row ${next}`,
        got: String(length),
        mend: 'Keys of two sequences must not overlap, nor end past the last entry of kvSeqstarts.',
      });
    }
  }
}

/**
 * Packed queries, keys anywhere in rising order: query i may attend key j iff both belong to the same
 * sequence, whose keys are the kvSeqlen[b] rows from kvSeqstarts[b] on.
 *
 *     qSeqlen [1, 2], kvSeqstarts [1, 4, 6], kvSeqlen [2, 1]
 *     0 1 1 0 0 0
 *     0 0 0 0 1 0
 *     0 0 0 0 1 0
 *
 * @example
 * const mask = attnBias.BlockDiagonalGappyKeysMask.fromSeqlens([1, 2], [1, 4, 6], [2, 1]);
 */
export class BlockDiagonalGappyKeysMask extends GappyKeysMask {
  static override readonly className: string = 'BlockDiagonalGappyKeysMask';

  /**
   * @param qSeqlen number of queries of each sequence.
   * @param kvSeqstarts first key row of each sequence, and last the number of key rows.
   * @param kvSeqlen number of keys of each sequence.
   * @throws TypeError if a list is no array; RangeError for lengths that cannot be, starts that
   *   decrease and keys that overlap.
   */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvSeqstarts: readonly number[],
    kvSeqlen: readonly number[],
  ): BlockDiagonalGappyKeysMask {
    return new BlockDiagonalGappyKeysMask(qSeqlen, kvSeqstarts, kvSeqlen, NO_MASK);
  }
}

/**
 * BlockDiagonalGappyKeysMask, causal: same sequence and `j <= i + s`, where `s` is the sequence's
 * number of keys less that of its queries; i and j count from the sequence's first query and key.
 *
 *     qSeqlen [1, 2], kvSeqstarts [1, 4, 7], kvSeqlen [2, 3]
 *     0 1 1 0 0 0 0
 *     0 0 0 0 1 1 0
 *     0 0 0 0 1 1 1
 *
 * @example
 * const {BlockDiagonalCausalWithOffsetGappyKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlens([1, 2], [1, 4, 7], [2, 3]);
 */
export class BlockDiagonalCausalWithOffsetGappyKeysMask extends GappyKeysMask {
  static override readonly className: string = 'BlockDiagonalCausalWithOffsetGappyKeysMask';

  /** Parameters and errors as in BlockDiagonalGappyKeysMask.fromSeqlens. */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvSeqstarts: readonly number[],
    kvSeqlen: readonly number[],
  ): BlockDiagonalCausalWithOffsetGappyKeysMask {
    return new BlockDiagonalCausalWithOffsetGappyKeysMask(
      qSeqlen,
      kvSeqstarts,
      kvSeqlen,
      CAUSAL_FROM_BOTTOM_RIGHT,
    );
  }
}
