// SPDX-License-Identifier: Apache-2.0
import type { FloatTensor } from '../spec/dtype.js';
import { describe, rangeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { sameShape } from '../spec/shape.js';
import { CAUSAL, CAUSAL_FROM_BOTTOM_RIGHT, causalWindow } from './band.js';
import type { Band } from './band.js';
import { checkTensorList, pack, unpack } from './packing.js';
import type { PackedBatch } from './packing.js';
import { PackedSequencesMask } from './packed_sequences.js';
import { checkTotal, seqstarts } from './seqlens.js';

/** What a block diagonal mask is made of. */
export interface SequenceLengths {
  readonly qSeqlen: readonly number[];
  readonly kvSeqlen: readonly number[];
  /** Which sequences came in as one tensor; absent: each for itself. */
  readonly batches?: readonly PackedBatch[] | undefined;
}

type ClassOf<M> = { new (lengths: SequenceLengths): M; readonly className: string };

/**
 * Packed sequences: query i may attend key j iff both belong to the same sequence. Queries, keys and
 * values are packed along axis 1 with B = 1.
 *
 *     qSeqlen [2, 1], kvSeqlen [3, 2]
 *     1 1 1 0 0
 *     1 1 1 0 0
 *     0 0 0 1 1
 *
 * @example
 * const [mask, x] = attnBias.BlockDiagonalMask.fromTensorList([a, b]);   // [1, Ma + Mb, H, K]
 * const [outA, outB] = mask.split(memoryEfficientAttention(x, x, x, mask));
 */
export class BlockDiagonalMask extends PackedSequencesMask {
  static override readonly className: string = 'BlockDiagonalMask';
  protected readonly packedPlan: MaskPlan;
  private readonly batches: readonly PackedBatch[] | undefined;

  /** Not for users: see fromSeqlens and fromTensorList. */
  constructor({ qSeqlen, kvSeqlen, batches }: SequenceLengths, band: Band = NO_MASK) {
    super(qSeqlen, kvSeqlen);
    this.batches = batches;
    this.packedPlan = this.planWith(band, seqstarts(this.kvSeqlen).slice(0, -1));
  }

  /**
   * A mask for sequences of these lengths.
   *
   * @param qSeqlen number of queries of each sequence; 0 is allowed.
   * @param kvSeqlen number of keys of each sequence; default: as many as queries.
   * @throws TypeError if a list is no array; RangeError if it is empty, if a length is negative or
   *   fractional, or if the lists differ in length.
   * @example
   * const mask = attnBias.BlockDiagonalMask.fromSeqlens([3, 6, 2]);
   */
  static fromSeqlens<M extends BlockDiagonalMask>(
    this: ClassOf<M>,
    qSeqlen: readonly number[],
    kvSeqlen: readonly number[] = qSeqlen,
  ): M {
    return new this({ qSeqlen, kvSeqlen });
  }

  /**
   * A mask for these tensors, and the tensors packed for it.
   *
   * @param list tensors [B_i, M_i, ...rest] of one dtype, bfloat16 too; B_i sequences of length M_i
   *   each. Only B_i and M_i may differ.
   * @returns `[mask, packed]`; packed has shape [1, sum of B_i * M_i, ...rest]. Differentiable.
   * @throws TypeError or RangeError if the list is empty or the tensors do not go together.
   * @example
   * const [mask, x] = attnBias.BlockDiagonalMask.fromTensorList([a, b, c]);
   */
  static fromTensorList<M extends BlockDiagonalMask, T extends FloatTensor>(
    this: ClassOf<M>,
    list: readonly T[],
  ): [M, T] {
    checkTensorList(`${this.className}.fromTensorList`, list);
    const batches = list.map((x) => {
      const [size, length] = x.shape as [number, number];
      return { size, length };
    });
    const seqlen = batches.flatMap(({ size, length }) => new Array<number>(size).fill(length));
    return [new this({ qSeqlen: seqlen, kvSeqlen: seqlen, batches }), pack(list)];
  }

  /**
   * The reverse of fromTensorList: a tensor of each sequence, or of each batch that was packed.
   *
   * @param x tensor [1, sum of lengths, ...rest] of any dtype, bfloat16 too.
   * @returns tensors [B_i, M_i, ...rest]. Differentiable.
   * @throws RangeError if `x` has another length, or queries and keys are not of the same lengths.
   * @example
   * const [outA, outB] = mask.split(output);
   */
  split<T extends FloatTensor>(x: T): T[] {
    if (!sameShape(this.qSeqlen, this.kvSeqlen)) {
      throw rangeError({
        op: `${this.className}.split`,
        argument: 'kvSeqlen',
        expected: `the same as qSeqlen, ${describe(this.qSeqlen)}`,
        got: describe(this.kvSeqlen),
        mend: 'Use splitQueries() for queries and outputs, splitKv() for keys and values.',
      });
    }
    return this.unpack('split', x, this.qSeqlen);
  }

  /** `split` for tensors with a row for each query: [1, sum of qSeqlen, ...rest]. */
  splitQueries<T extends FloatTensor>(x: T): T[] {
    return this.unpack('splitQueries', x, this.qSeqlen);
  }

  /** `split` for tensors with a row for each key: [1, sum of kvSeqlen, ...rest]. */
  splitKv<T extends FloatTensor>(x: T): T[] {
    return this.unpack('splitKv', x, this.kvSeqlen);
  }

  /** The mask in which each sequence is causal from its top left. */
  makeCausal(): BlockDiagonalCausalMask {
    return new BlockDiagonalCausalMask(this.lengths());
  }

  /**
   * The mask in which each sequence is causal, aligned to its last query and key.
   * @throws RangeError if a sequence has fewer keys than queries.
   */
  makeCausalFromBottomRight(): BlockDiagonalCausalFromBottomRightMask {
    return new BlockDiagonalCausalFromBottomRightMask(this.lengths());
  }

  /**
   * The mask in which each query sees the last `windowSize` keys up to its own, from the top left.
   * @throws RangeError if `windowSize` is no whole number above 0, or a query could attend no key.
   */
  makeLocalAttention(windowSize: number): BlockDiagonalCausalLocalAttentionMask {
    return new BlockDiagonalCausalLocalAttentionMask(this.lengths(), windowSize);
  }

  /**
   * makeLocalAttention, aligned to the last query and key of each sequence.
   * @throws RangeError if `windowSize` is no whole number above 0, or a sequence has fewer keys than
   *   queries.
   */
  makeLocalAttentionFromBottomRight(
    windowSize: number,
  ): BlockDiagonalCausalLocalAttentionFromBottomRightMask {
    return new BlockDiagonalCausalLocalAttentionFromBottomRightMask(this.lengths(), windowSize);
  }

  protected checkKeys(op: string, argument: string, keys: number): void {
    const total = this.kvSeqlen.reduce((sum, length) => sum + length, 0);
    checkTotal(op, argument, keys, total, 'the sum of kvSeqlen');
  }

  private lengths(): SequenceLengths {
    return { qSeqlen: this.qSeqlen, kvSeqlen: this.kvSeqlen, batches: this.batches };
  }

  private unpack<T extends FloatTensor>(method: string, x: T, seqlen: readonly number[]): T[] {
    const batches = this.batches ?? seqlen.map((length) => ({ size: 1, length }));
    return unpack(`${this.className}.${method}`, x, batches);
  }
}

/**
 * Packed causal sequences: query i may attend key j iff both belong to the same sequence and
 * `j <= i`, counted from the sequence's start.
 *
 *     qSeqlen [2, 1], kvSeqlen [3, 2]
 *     1 0 0 0 0
 *     1 1 0 0 0
 *     0 0 0 1 0
 *
 * @example
 * const mask = attnBias.BlockDiagonalMask.fromSeqlens([3, 6, 2]).makeCausal();
 */
export class BlockDiagonalCausalMask extends BlockDiagonalMask {
  static override readonly className: string = 'BlockDiagonalCausalMask';

  constructor(lengths: SequenceLengths) {
    super(lengths, CAUSAL);
  }
}

/**
 * Packed causal sequences aligned to their last query and key: same sequence and `j <= i + s`, where
 * `s` is the sequence's number of keys less that of its queries. No sequence may have fewer keys
 * than queries.
 *
 *     qSeqlen [2, 1], kvSeqlen [3, 2]
 *     1 1 0 0 0
 *     1 1 1 0 0
 *     0 0 0 1 1
 *
 * @example
 * const mask = attnBias.BlockDiagonalMask.fromSeqlens([4, 1], [8, 5]).makeCausalFromBottomRight();
 */
export class BlockDiagonalCausalFromBottomRightMask extends BlockDiagonalMask {
  static override readonly className: string = 'BlockDiagonalCausalFromBottomRightMask';

  constructor(lengths: SequenceLengths) {
    super(lengths, CAUSAL_FROM_BOTTOM_RIGHT);
    checkEnoughKeys(this);
  }
}

/**
 * Packed sequences with a causal window: same sequence and `i - windowSize < j <= i`, counted from
 * the sequence's start.
 *
 *     qSeqlen [3, 1], kvSeqlen [3, 2], windowSize 2
 *     1 0 0 0 0
 *     1 1 0 0 0
 *     0 1 1 0 0
 *     0 0 0 1 0
 *
 * @example
 * const mask = attnBias.BlockDiagonalMask.fromSeqlens([11, 4, 15]).makeLocalAttention(4);
 */
export class BlockDiagonalCausalLocalAttentionMask extends BlockDiagonalMask {
  static override readonly className: string = 'BlockDiagonalCausalLocalAttentionMask';
  readonly windowSize: number;

  constructor(lengths: SequenceLengths, windowSize: number) {
    super(lengths, causalWindow(new.target.className, windowSize, 'topLeft'));
    this.windowSize = windowSize;
    this.qSeqlen.forEach((queries, block) => {
      const keys = this.kvSeqlen[block]!;
      if (queries - windowSize >= keys) {
        throw rangeError({
          op: this.className,
          argument: `kvSeqlen[${block}]`,
          expected: `above ${queries - windowSize}, or the last of its ${queries} queries see no key`,
          got: `${keys} with windowSize ${windowSize}`,
          mend: 'Take a larger window, or makeLocalAttentionFromBottomRight().',
        });
      }
    });
  }
}

/**
 * Packed sequences with a causal window aligned to their last query and key: same sequence and
 * `i + s - windowSize < j <= i + s`, where `s` is the sequence's number of keys less that of its
 * queries. No sequence may have fewer keys than queries.
 *
 *     qSeqlen [2, 1], kvSeqlen [4, 2], windowSize 2
 *     0 1 1 0 0 0
 *     0 0 1 1 0 0
 *     0 0 0 0 1 1
 *
 * @example
 * const block = attnBias.BlockDiagonalMask.fromSeqlens([4, 1], [8, 5]);
 * const mask = block.makeLocalAttentionFromBottomRight(3);
 */
export class BlockDiagonalCausalLocalAttentionFromBottomRightMask extends BlockDiagonalMask {
  static override readonly className: string =
    'BlockDiagonalCausalLocalAttentionFromBottomRightMask';
  readonly windowSize: number;

  constructor(lengths: SequenceLengths, windowSize: number) {
    super(lengths, causalWindow(new.target.className, windowSize, 'bottomRight'));
    this.windowSize = windowSize;
    checkEnoughKeys(this);
  }
}

/** xFormers refuses these lengths: the first queries of such a sequence would see no key. */
function checkEnoughKeys({ className, qSeqlen, kvSeqlen }: BlockDiagonalMask): void {
  qSeqlen.forEach((queries, block) => {
    if (kvSeqlen[block]! < queries) {
      throw rangeError({
        op: className,
        argument: `kvSeqlen[${block}]`,
        expected: `at least ${queries}, the number of its queries`,
        got: String(kvSeqlen[block]),
        mend: 'Take a mask aligned to the top left: makeCausal() or makeLocalAttention().',
      });
    }
  });
}
