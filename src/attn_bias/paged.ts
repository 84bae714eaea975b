// SPDX-License-Identifier: Apache-2.0
import { describe, rangeError, typeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { CAUSAL_FROM_BOTTOM_RIGHT } from './band.js';
import type { Band } from './band.js';
import { PackedSequencesMask } from './packed_sequences.js';
import { checkCount, checkWhole } from './seqlens.js';

/** Page numbers, [blocks, pages]. */
export type BlockTables = readonly (readonly number[])[];

/**
 * What the paged masks have in common: key j of sequence b lies in row
 * `blockTables[b][floor(j / pageSize)] * pageSize + j % pageSize` of the key tensor.
 */
abstract class PagedMask extends PackedSequencesMask {
  readonly blockTables: BlockTables;
  readonly pageSize: number;
  protected readonly packedPlan: MaskPlan;
  /** The highest page number, or -1 without pages; kept, as every call asks for it. */
  private readonly lastPage: number;

  protected constructor(
    qSeqlen: readonly number[],
    kvSeqlen: readonly number[],
    blockTables: BlockTables,
    pageSize: number,
    band: Band,
  ) {
    super(qSeqlen, kvSeqlen);
    checkWhole(this.className, 'pageSize', pageSize, 1, 'It is the number of key rows of a page.');
    this.pageSize = pageSize;
    this.blockTables = checkTables(this.className, blockTables, this.kvSeqlen, pageSize);
    this.lastPage = this.blockTables.flat().reduce((last, page) => Math.max(last, page), -1);
    const pages = Object.freeze({ table: this.blockTables, pageSize });
    const kStart = this.kvSeqlen.map(() => 0);
    this.packedPlan = this.planWith(band, kStart, pages);
  }

  protected checkKeys(op: string, argument: string, keys: number): void {
    const rows = (this.lastPage + 1) * this.pageSize;
    if (rows > keys) {
      throw rangeError({
        op,
        argument,
        expected: `at least ${rows} long (page ${this.lastPage} is in use)`,
        got: String(keys),
        mend: 'Page numbers count pages of pageSize rows from the start of the key tensor.',
      });
    }
  }
}

/** A frozen copy of the tables, after checking every page number and that each table is long enough. */
function checkTables(
  op: string,
  tables: unknown,
  kvSeqlen: readonly number[],
  pageSize: number,
): BlockTables {
  if (!Array.isArray(tables) || !tables.every((table) => Array.isArray(table))) {
    throw typeError({
      op,
      argument: 'blockTables',
      expected: 'an array with one array of page numbers for each sequence',
      got: describe(tables),
      mend: 'Pass for example [[0, 3], [1, 2]].',
    });
  }
  checkCount(op, 'blockTables', tables, kvSeqlen.length);
  const pages = (tables[0] as unknown[]).length;
  tables.forEach((table: unknown[], block) => {
    if (table.length !== pages) {
      throw rangeError({
        op,
        argument: `blockTables[${block}]`,
        expected: `of ${pages} pages like blockTables[0]`,
        got: `${table.length}`,
        mend: 'Fill shorter tables up with any page of the key tensor; it is not read.',
      });
    }
    const needed = Math.ceil(kvSeqlen[block]! / pageSize);
    if (table.length < needed) {
      throw rangeError({
        op,
        argument: `blockTables[${block}]`,
        expected: `of at least ${needed} pages for ${kvSeqlen[block]} keys of ${pageSize} to a page`,
        got: `${table.length}`,
        mend: 'Give every sequence enough pages for its keys.',
      });
    }
    table.forEach((page, index) => {
      const argument = `blockTables[${block}][${index}]`;
      checkWhole(op, argument, page, 0, 'Fill unused entries up with 0: they are not read.');
    });
  });
  return Object.freeze(tables.map((table: number[]) => Object.freeze([...table])));
}

/**
 * Packed queries, keys in pages of a pool: query i may attend key j iff both belong to the same
 * sequence and `j < kvSeqlen` of it. Key j of sequence b is stored in row
 * `blockTables[b][floor(j / pageSize)] * pageSize + j % pageSize` of the key tensor.
 *
 *     qSeqlen [1, 1], kvSeqlen [3, 1], blockTables [[2, 0], [1, 1]], pageSize 2; columns: key rows
 *     1 0 0 0 1 1
 *     0 0 1 0 0 0
 *
 * @example
 * const {PagedBlockDiagonalPaddedKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlens([1, 1], [3, 1], [[2, 0], [1, 1]], 2);
 */
export class PagedBlockDiagonalPaddedKeysMask extends PagedMask {
  static override readonly className: string = 'PagedBlockDiagonalPaddedKeysMask';

  /**
   * @param qSeqlen number of queries of each sequence.
   * @param kvSeqlen number of keys of each sequence.
   * @param blockTables page numbers of each sequence, [blocks, pages], all tables of one length.
   * @param pageSize key rows of a page.
   * @throws TypeError if a list is no array; RangeError for lengths that cannot be, tables too short
   *   for their keys, and page numbers that are negative or fractional.
   */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvSeqlen: readonly number[],
    blockTables: BlockTables,
    pageSize: number,
  ): PagedBlockDiagonalPaddedKeysMask {
    return new PagedBlockDiagonalPaddedKeysMask(qSeqlen, kvSeqlen, blockTables, pageSize, NO_MASK);
  }
}

/**
 * PagedBlockDiagonalPaddedKeysMask, causal: same sequence, `j < kvSeqlen` of it, and `j <= i + s`,
 * where `s` is the sequence's number of keys less that of its queries.
 *
 *     qSeqlen [2, 1], kvSeqlen [3, 1], blockTables [[2, 0], [1, 1]], pageSize 2; columns: key rows
 *     0 0 0 0 1 1
 *     1 0 0 0 1 1
 *     0 0 1 0 0 0
 *
 * @example
 * const {PagedBlockDiagonalCausalWithOffsetPaddedKeysMask: Mask} = attnBias;
 * const mask = Mask.fromSeqlens([2, 1], [3, 1], [[2, 0], [1, 1]], 2);
 */
export class PagedBlockDiagonalCausalWithOffsetPaddedKeysMask extends PagedMask {
  static override readonly className: string = 'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask';

  /** Parameters and errors as in PagedBlockDiagonalPaddedKeysMask.fromSeqlens. */
  static fromSeqlens(
    qSeqlen: readonly number[],
    kvSeqlen: readonly number[],
    blockTables: BlockTables,
    pageSize: number,
  ): PagedBlockDiagonalCausalWithOffsetPaddedKeysMask {
    return new PagedBlockDiagonalCausalWithOffsetPaddedKeysMask(
      qSeqlen,
      kvSeqlen,
      blockTables,
      pageSize,
      CAUSAL_FROM_BOTTOM_RIGHT,
    );
  }
}
