// SPDX-License-Identifier: Apache-2.0
/**
 * Rows of a block out of the tensors of a call, and gradients of key rows back into them.
 *
 * Tensors of a call are [B, M, H, D]; those of a block are head-major, [B, H, rows, D], so that the
 * products of one head are products of adjacent rows. With pages the rows are gathered into the
 * order of the sequence first, and everything after that is as without pages.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { keyRow } from '../spec/mask.js';
import type { Block, MaskPlan } from '../spec/mask.js';

/** [B, M, H, D] <-> [B, H, M, D]. */
export function swapHeads(x: Tensor): Tensor {
  if (x.size === 0) {
    // wasm's transpose divides by the size.
    const [batch, a, b, depth] = x.shape as [number, number, number, number];
    return tf.zeros([batch, b, a, depth]);
  }
  return tf.transpose(x, [0, 2, 1, 3]);
}

/** The rows of the key tensor that hold keys j0 <= j < j1 of a block. */
export function rowsOfKeys(plan: MaskPlan, block: Block, j0: number, j1: number): number[] {
  return Array.from({ length: j1 - j0 }, (_, index) => keyRow(plan, block, j0 + index));
}

/** The queries of a block, of a [B, Mq, H, D] tensor, head-major. */
export function queriesOfBlock(x: Tensor, block: Block): Tensor {
  return swapHeads(tf.slice(x, [0, block.qStart, 0, 0], [-1, block.qLength, -1, -1]));
}

/** The keys in use of a block, of a [B, Mk, G, D] tensor, head-major. */
export function keysOfBlock(x: Tensor, plan: MaskPlan, block: Block): Tensor {
  if (!plan.pages)
    return swapHeads(tf.slice(x, [0, block.kStart, 0, 0], [-1, block.kLength, -1, -1]));
  const rows = rowsOfKeys(plan, block, 0, block.kLength);
  return swapHeads(tf.gather(x, tf.tensor1d(rows, 'int32'), 1));
}

/** Rows begin <= row < end of a head-major tensor. */
export function rowRange(x: Tensor, begin: number, end: number): Tensor {
  return tf.slice(x, [0, 0, begin, 0], [-1, -1, end - begin, -1]);
}

/** `total` with `part` added to its rows from `begin` on. Disposes both; null counts as zeros. */
export function addRows(total: Tensor | null, part: Tensor, begin: number, rows: number): Tensor {
  const sum = tf.tidy(() => {
    const after = rows - begin - part.shape[2]!;
    const padded = tf.pad(part, [
      [0, 0],
      [0, 0],
      [begin, after],
      [0, 0],
    ]);
    return total ? tf.add(total, padded) : padded;
  });
  part.dispose();
  total?.dispose();
  return sum;
}

/**
 * A [B, keys, G, D] tensor whose row r is the sum of those rows of `parts` (which are [B, n, G, D],
 * one after the other along axis 1) that `targets` sends to r; rows that get none are zero.
 *
 * Blocks may share rows (pages of a common prefix). Each pass takes at most one part row for each
 * row of the result, in order, so the sum has one order and needs no atomic additions.
 */
export function sumIntoRows(
  parts: Tensor[],
  targets: readonly number[],
  shape: [number, number, number, number],
): Tensor {
  const keys = shape[1];
  if (targets.length === 0) return tf.zeros(shape);
  const all = tf.concat(parts, 1);
  if (targets.length === keys && targets.every((row, index) => row === index)) return all;
  const padded = tf.pad(all, [
    [0, 0],
    [0, 1],
    [0, 0],
    [0, 0],
  ]);
  const zeroRow = targets.length;
  const passes = gatherPasses(targets, keys, zeroRow);
  return passes
    .map((pass) => tf.gather(padded, tf.tensor1d(pass, 'int32'), 1))
    .reduce((sum, pass) => tf.add(sum, pass));
}

/** Pass n lists, for each of the `keys` rows, its n-th source; `zeroRow` where there is none. */
function gatherPasses(targets: readonly number[], keys: number, zeroRow: number): Int32Array[] {
  const passes: Int32Array[] = [];
  const filled = new Int32Array(keys);
  targets.forEach((row, source) => {
    const turn = filled[row]!++;
    passes[turn] ??= new Int32Array(keys).fill(zeroRow);
    passes[turn]![row] = source;
  });
  return passes;
}
