// SPDX-License-Identifier: Apache-2.0
/**
 * Where the heads of query, key, value and output lie in their tensors. A head's K (or V) numbers are always
 * next to each other, so a tensor is rows of one head each, and a layout says which row is which:
 *
 *     BMHK     query [B, Mq, H, K]  key [B, Mk, G, K]  value [B, Mk, G, V]  output [B, Mq, H, V]
 *     BHMK     query [B, H, Mq, K]  key [B, G, Mk, K]  value [B, G, Mk, V]  output [B, H, Mq, V]
 *     packed   one tensor [B, M, H + 2 G, K]: the heads of query, then of key, then of value; output [B, M, H, K]
 *
 * logSumExp is [B, H, Mq] in all of them.
 */
import type { AttentionDims } from './attention.js';

/** How a user lays out three tensors. */
export type AttentionLayout = 'BMHK' | 'BHMK';

/** How a kernel gets its operands; packed, the only one is `query`. */
export type OperandLayout = AttentionLayout | 'packed';

/** What tells the sizes of a call, besides the shapes. */
export interface LayoutOfCall {
  layout: OperandLayout;
  /** G. Of packed operands the shape does not tell it. */
  kvHeads: number;
}

/** Shapes of rank 4, in the layout. Packed, all three are that of the one tensor. */
export interface OperandShapes {
  query: readonly number[];
  key: readonly number[];
  value: readonly number[];
}

/** Sizes of a call from the shapes of its operands. */
export function dimsOfOperands(
  { layout, kvHeads }: LayoutOfCall,
  shapes: OperandShapes,
): AttentionDims {
  const [query, key, value] = [shapes.query, shapes.key, shapes.value].map((shape) =>
    layout === 'BHMK' ? swapped(shape) : shape,
  ) as [readonly number[], readonly number[], readonly number[]];
  const [batch, queries, rows, keyDim] = query as [number, number, number, number];
  return {
    batch,
    queries,
    keys: key[1]!,
    heads: layout === 'packed' ? rows - 2 * kvHeads : rows,
    kvHeads: layout === 'packed' ? kvHeads : key[2]!,
    keyDim,
    valueDim: value[3]!,
  };
}

/** [B, M, H, D] <-> [B, H, M, D]. */
function swapped([batch, a, b, depth]: readonly number[]): number[] {
  return [batch!, b!, a!, depth!];
}

/** The reverse: shapes of the operands. */
export function operandShapes(layout: OperandLayout, dims: AttentionDims): OperandShapes {
  const { batch, queries, keys, heads, kvHeads, keyDim, valueDim } = dims;
  if (layout === 'packed') {
    const shape = [batch, queries, heads + 2 * kvHeads, keyDim];
    return { query: shape, key: shape, value: shape };
  }
  const ordered = layout === 'BHMK' ? swapped : (shape: number[]) => shape;
  return {
    query: ordered([batch, queries, heads, keyDim]),
    key: ordered([batch, keys, kvHeads, keyDim]),
    value: ordered([batch, keys, kvHeads, valueDim]),
  };
}

/** Shape of the output, and of its gradient. */
export function outputShape(layout: OperandLayout, dims: AttentionDims): number[] {
  const shape = [dims.batch, dims.queries, dims.heads, dims.valueDim];
  return layout === 'BHMK' ? swapped(shape) : shape;
}

/** Rows from one batch item, one row of the sequence and one head to the next. */
export interface RowStrides {
  batch: number;
  row: number;
  head: number;
}

/** The first row and the strides of each operand; those of keys and values are the same. */
export interface OperandRows {
  query: RowStrides;
  key: RowStrides;
  output: RowStrides;
  firstKey: number;
  firstValue: number;
}

/** Where each head of a call lies, in rows of its tensor. */
export function operandRows(layout: OperandLayout, dims: AttentionDims): OperandRows {
  const { queries, keys, heads, kvHeads } = dims;
  const strides = (rows: number, across: number): RowStrides =>
    layout === 'BHMK'
      ? { batch: across * rows, row: 1, head: rows }
      : { batch: across * rows, row: across, head: 1 };
  const output = strides(queries, heads);
  if (layout !== 'packed') {
    return {
      ...{ query: output, key: strides(keys, kvHeads), output },
      ...{ firstKey: 0, firstValue: 0 },
    };
  }
  const all = strides(queries, heads + 2 * kvHeads);
  return {
    ...{ query: all, key: all, output },
    ...{ firstKey: heads, firstValue: heads + kvHeads },
  };
}
