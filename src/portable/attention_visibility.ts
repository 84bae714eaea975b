// SPDX-License-Identifier: Apache-2.0
/** Which keys of a chunk each of its queries sees, as tensors; null where nothing is hidden. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionAttrs } from '../kernel_names.js';
import { UNBOUNDED, diagonalShift, visibleKeys } from '../spec/mask.js';
import type { Block, MaskPlan } from '../spec/mask.js';
import type { Chunk } from './attention_chunks.js';

/** The lowest finite float32. It stands for the scores of hidden keys, and only -Infinity is below. */
export const LOWEST = -3.4028234663852886e38;

/** True where x is -Infinity; NaN is not. */
export function isNegativeInfinity(x: Tensor): Tensor {
  return tf.less(x, LOWEST);
}

/** Whether a call can hide a key from a query that shares a chunk with one that sees it. */
export function hidesKeys({ plan, biasKind }: AttentionAttrs): boolean {
  const isWindowed = plan.windowLeft < UNBOUNDED || plan.windowRight < UNBOUNDED;
  return isWindowed || biasKind !== 'none';
}

export interface Visibility {
  /** bool, broadcastable to [B, H, c, n]; null: all are visible. */
  visible: Tensor | null;
  /** bool, broadcastable to [B, H, c, 1]: whether the query sees any key; null: all do. */
  alive: Tensor | null;
}

/** The part of a bias that belongs to a chunk; axes of size 1 stay. */
export function biasOfChunk(bias: Tensor, chunk: Chunk): Tensor {
  const [, , queries, keys] = bias.shape as [number, number, number, number];
  const rows = queries === 1 ? [0, 1] : [chunk.i0, chunk.i1 - chunk.i0];
  const columns = keys === 1 ? [0, 1] : [chunk.j0, chunk.j1 - chunk.j0];
  return tf.slice(bias, [0, 0, rows[0]!, columns[0]!], [-1, -1, rows[1]!, columns[1]!]);
}

/** Visibility by mask and bias. `biasPart` is the chunk's part of the bias, if there is one. */
export function visibilityOf(
  attrs: AttentionAttrs,
  block: Block,
  chunk: Chunk,
  biasPart: Tensor | undefined,
): Visibility {
  const byPlan = visibleByPlan(attrs.plan, block, chunk);
  if (!biasPart) {
    return { visible: byPlan, alive: byPlan && aliveByPlan(attrs.plan, block, chunk) };
  }
  const byBias = attrs.biasKind === 'bool' ? biasPart : tf.logicalNot(isNegativeInfinity(biasPart));
  const visible = byPlan ? tf.logicalAnd(byPlan, byBias) : byBias;
  return { visible, alive: tf.any(visible, 3, true) };
}

/** bool [1, 1, c, n], or null if every query of the chunk sees all of its keys. */
function visibleByPlan(plan: MaskPlan, block: Block, chunk: Chunk): Tensor | null {
  const { i0, i1, j0, j1 } = chunk;
  const { qLength, kLength } = block;
  const first = visibleKeys(plan, i0, i0 + 1, qLength, kLength);
  const last = visibleKeys(plan, i1 - 1, i1, qLength, kLength);
  if (first.end >= j1 && last.begin <= j0) return null;
  const shift = diagonalShift(plan.align, qLength, kLength);
  const queries = tf.reshape(tf.range(i0 + shift, i1 + shift, 1, 'int32'), [1, 1, i1 - i0, 1]);
  const distance = tf.sub(tf.range(j0, j1, 1, 'int32'), queries);
  return tf.logicalAnd(
    tf.greaterEqual(distance, tf.scalar(-plan.windowLeft, 'int32')),
    tf.lessEqual(distance, tf.scalar(plan.windowRight, 'int32')),
  );
}

/** bool [1, 1, c, 1], or null if every query sees some key. */
function aliveByPlan(plan: MaskPlan, block: Block, chunk: Chunk): Tensor | null {
  const rows = chunk.i1 - chunk.i0;
  const alive = Array.from({ length: rows }, (_, row) => {
    const i = chunk.i0 + row;
    const { begin, end } = visibleKeys(plan, i, i + 1, block.qLength, block.kLength);
    return begin < end;
  });
  return alive.every(Boolean) ? null : tf.tensor(alive, [1, 1, rows, 1], 'bool');
}
