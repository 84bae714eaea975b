// SPDX-License-Identifier: Apache-2.0
/**
 * Which keys each query may attend, from the description of a mask in test/golden/index.json; cell
 * by cell from xFormers' definitions, and independent of src/attn_bias and src/spec/mask.
 */

/** A mask by its xFormers class name, as index.json has it; the page fields are added here. */
export interface MaskDescription {
  readonly type: string;
  readonly qSeqlen?: readonly number[];
  readonly kvSeqlen?: readonly number[];
  readonly kvPadding?: number;
  readonly kvSeqstarts?: readonly number[];
  readonly windowSize?: number;
  readonly windowLeft?: number;
  readonly windowRight?: number;
  readonly blockTables?: readonly (readonly number[])[];
  readonly pageSize?: number;
  /** Of a tensor bias: BHQK, 11QK, … with 1 where it is broadcast. */
  readonly shape?: string;
  /** bias[0, 0, :Mq-1, :Mk-1] is -Infinity. */
  readonly negInf?: boolean;
}

type Cell = (i: number, j: number, queries: number, keys: number) => boolean;

const causal: Cell = (i, j) => j <= i;
const causalFromBottomRight: Cell = (i, j, q, k) => j <= i + k - q;
const everything: Cell = () => true;

function cellRule(mask: MaskDescription): Cell {
  const { windowSize: w = 0, windowLeft: l = 0, windowRight: r = 0 } = mask;
  const localFromBottomRight: Cell = (i, j, q, k) => i + k - q - w < j && j <= i + k - q;
  const sides: Cell = (i, j, q, k) => i + k - q - l <= j && j <= i + k - q + r;
  const rules: Record<string, Cell> = {
    TensorBias: everything,
    LowerTriangularMask: causal,
    LowerTriangularMaskWithTensorBias: causal,
    LowerTriangularFromBottomRightMask: causalFromBottomRight,
    LowerTriangularFromBottomRightLocalAttentionMask: localFromBottomRight,
    LocalAttentionFromBottomRightMask: sides,
    BlockDiagonalMask: everything,
    BlockDiagonalCausalMask: causal,
    BlockDiagonalCausalFromBottomRightMask: causalFromBottomRight,
    BlockDiagonalCausalLocalAttentionMask: (i, j) => i - w < j && j <= i,
    BlockDiagonalCausalLocalAttentionFromBottomRightMask: localFromBottomRight,
    BlockDiagonalPaddedKeysMask: everything,
    BlockDiagonalCausalWithOffsetPaddedKeysMask: causalFromBottomRight,
    BlockDiagonalLocalAttentionPaddedKeysMask: sides,
    BlockDiagonalCausalLocalAttentionPaddedKeysMask: localFromBottomRight,
    BlockDiagonalGappyKeysMask: everything,
    BlockDiagonalCausalWithOffsetGappyKeysMask: causalFromBottomRight,
    PagedBlockDiagonalPaddedKeysMask: everything,
    PagedBlockDiagonalCausalWithOffsetPaddedKeysMask: causalFromBottomRight,
  };
  const rule = rules[mask.type];
  if (!rule) throw new RangeError(`no rule for the mask ${mask.type}`);
  return rule;
}

/** Where the keys of block b begin in the key tensor. */
function firstKey(mask: MaskDescription, b: number): number {
  if (mask.kvSeqstarts) return mask.kvSeqstarts[b]!;
  if (mask.kvPadding !== undefined) return b * mask.kvPadding;
  return mask.kvSeqlen!.slice(0, b).reduce((sum, n) => sum + n, 0);
}

/** Row of the key tensor that holds key j of block b. */
function rowOfKey(mask: MaskDescription, b: number, j: number): number {
  if (!mask.blockTables) return firstKey(mask, b) + j;
  const size = mask.pageSize!;
  return mask.blockTables[b]![Math.floor(j / size)]! * size + (j % size);
}

/** Row-major [queries, keys]: 1 where the query may attend the row of the key tensor. */
export function allowedCells(
  mask: MaskDescription | null,
  queries: number,
  keys: number,
): Uint8Array {
  const cells = new Uint8Array(queries * keys);
  if (!mask) return cells.fill(1);
  const rule = cellRule(mask);
  const qLengths = mask.qSeqlen ?? [queries];
  const kLengths = mask.kvSeqlen ?? [keys];
  let query = 0;
  qLengths.forEach((q, b) => {
    const k = kLengths[b]!;
    for (let i = 0; i < q; i++, query++) {
      for (let j = 0; j < k; j++) {
        const row = mask.qSeqlen ? rowOfKey(mask, b, j) : j;
        if (rule(i, j, q, k)) cells[query * keys + row] = 1;
      }
    }
  });
  return cells;
}
