// SPDX-License-Identifier: Apache-2.0
/**
 * The one mask. Every attnBias class becomes a MaskPlan, and kernels know nothing else:
 *
 *     visible(i, j) = same block, 0 <= j < kLength, -windowLeft <= j - i - shift <= windowRight
 *     shift = align is 'bottomRight' ? kLength - qLength : 0
 *
 * i and j count from the start of the block. For a query row this is one interval of keys, and for
 * a key one interval of queries; kernels visit the tiles of that interval and no others.
 * webgpu/wgsl/mask.ts says the same in WGSL. All are tested against truth tables written by hand.
 */

/** A window side without limit. Large, yet sums with any tensor length still fit in an int32. */
export const UNBOUNDED = 0x3fffffff;

export type MaskAlign = 'topLeft' | 'bottomRight';

/** Packed sequences: block b holds queries qStart[b] … qStart[b+1]-1 and kLength[b] keys from kStart[b]. */
export interface MaskBlocks {
  /** One entry more than there are blocks; starts with 0 and ends with the number of queries. */
  readonly qStart: readonly number[];
  /** First key row of each block (of the key tensor, or 0 with pages: then keys are logical). */
  readonly kStart: readonly number[];
  /** Number of keys in use in each block. */
  readonly kLength: readonly number[];
}

/** Logical key j of block b lies in row table[b][floor(j / pageSize)] * pageSize + j % pageSize. */
export interface MaskPages {
  readonly table: readonly (readonly number[])[];
  readonly pageSize: number;
}

export interface MaskPlan {
  readonly windowLeft: number;
  readonly windowRight: number;
  readonly align: MaskAlign;
  /** Absent: one block per batch item, holding all queries and all keys. */
  readonly blocks?: MaskBlocks;
  readonly pages?: MaskPages;
}

/** Everything is visible. */
export const NO_MASK: MaskPlan = {
  windowLeft: UNBOUNDED,
  windowRight: UNBOUNDED,
  align: 'topLeft',
};

/** A half-open range [begin, end); empty when end <= begin. */
export interface Interval {
  begin: number;
  end: number;
}

/** How far the diagonal is moved to the right in a block of these lengths. */
export function diagonalShift(align: MaskAlign, qLength: number, kLength: number): number {
  return align === 'bottomRight' ? kLength - qLength : 0;
}

/** Whether query i may attend key j; both count from the start of a block of these lengths. */
export function visible(
  plan: MaskPlan,
  i: number,
  j: number,
  qLength: number,
  kLength: number,
): boolean {
  const distance = j - i - diagonalShift(plan.align, qLength, kLength);
  return j >= 0 && j < kLength && -plan.windowLeft <= distance && distance <= plan.windowRight;
}

/** The keys that the queries i0 <= i < i1 of a block see, as one interval from the block's start. */
export function visibleKeys(
  plan: MaskPlan,
  i0: number,
  i1: number,
  qLength: number,
  kLength: number,
): Interval {
  const shift = diagonalShift(plan.align, qLength, kLength);
  return {
    begin: Math.max(0, i0 + shift - plan.windowLeft),
    end: Math.min(kLength, i1 + shift + plan.windowRight),
  };
}

/** The queries that see any of the keys j0 <= j < j1 of a block, as one interval. */
export function visibleQueries(
  plan: MaskPlan,
  j0: number,
  j1: number,
  qLength: number,
  kLength: number,
): Interval {
  const shift = diagonalShift(plan.align, qLength, kLength);
  return {
    begin: Math.max(0, j0 - shift - plan.windowRight),
    end: Math.min(qLength, j1 - shift + plan.windowLeft),
  };
}

/** One block with its lengths and places, as kernels want it. */
export interface Block {
  index: number;
  qStart: number;
  qLength: number;
  kStart: number;
  kLength: number;
}

/** The blocks of one batch item: those of the plan, or a single one that holds everything. */
export function blocksOf(plan: MaskPlan, queries: number, keys: number): Block[] {
  const { blocks } = plan;
  if (!blocks) return [{ index: 0, qStart: 0, qLength: queries, kStart: 0, kLength: keys }];
  return blocks.kLength.map((kLength, index) => ({
    index,
    qStart: blocks.qStart[index]!,
    qLength: blocks.qStart[index + 1]! - blocks.qStart[index]!,
    kStart: blocks.kStart[index]!,
    kLength,
  }));
}

/** The row of the key tensor that holds key j of a block. */
export function keyRow(plan: MaskPlan, block: Block, j: number): number {
  if (!plan.pages) return block.kStart + j;
  const { table, pageSize } = plan.pages;
  return table[block.index]![Math.floor(j / pageSize)]! * pageSize + (j % pageSize);
}
