// SPDX-License-Identifier: Apache-2.0
/** The scores of one chunk: what forward and backward compute alike. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionAttrs } from '../kernel_names.js';
import type { AttentionDims } from '../spec/attention.js';
import { dropThreshold, isKept, rowKey } from '../spec/dropout.js';
import type { Block } from '../spec/mask.js';
import type { Chunk } from './attention_chunks.js';
import { rowRange, rowsOfKeys } from './attention_rows.js';
import { LOWEST, biasOfChunk, visibilityOf } from './attention_visibility.js';
import type { Visibility } from './attention_visibility.js';

/** A call: its numbers, and the tensors that every chunk of it uses. */
export interface AttentionCall {
  attrs: AttentionAttrs;
  dims: AttentionDims;
  bias: Tensor | undefined;
  /** [1, H, 1, 1] */
  sink: Tensor | undefined;
}

/**
 * [B, H, rows, D] -> [B*G, (H/G)*rows, D]: the query heads of one key/value head become rows of one
 * matrix, so that grouped heads need no copies of keys and values.
 */
export function byKeyHead(x: Tensor, { kvHeads }: AttentionDims): Tensor {
  const [batch, heads, rows, depth] = x.shape as [number, number, number, number];
  return tf.reshape(x, [batch * kvHeads, (heads / kvHeads) * rows, depth]);
}

/** The reverse: [B*G, (H/G)*rows, D] -> [B, H, rows, D]. */
export function byQueryHead(x: Tensor, { batch, heads, kvHeads }: AttentionDims): Tensor {
  const [, groupRows, depth] = x.shape as [number, number, number];
  return tf.reshape(x, [batch, heads, groupRows / (heads / kvHeads), depth]);
}

/** The keys of a chunk out of a block's [B, G, k, D], as [B*G, n, D]. */
export function keysOfChunk(x: Tensor, { j0, j1 }: Chunk): Tensor {
  const [batch, heads, , depth] = x.shape as [number, number, number, number];
  return tf.reshape(rowRange(x, j0, j1), [batch * heads, j1 - j0, depth]);
}

export interface ChunkScores extends Visibility {
  /** scale * q kᵀ after the soft cap, before bias and mask: [B, H, c, n]. */
  capped: Tensor;
  /** With bias; near LOWEST or below where hidden. */
  masked: Tensor;
}

/**
 * `query` is byKeyHead and scaled, `key` is [B*G, n, K]. Bias and mask are one addition: hidden keys
 * get LOWEST, which no finite score raises so far that exp() of it is not 0.
 */
export function chunkScores(
  call: AttentionCall,
  block: Block,
  chunk: Chunk,
  query: Tensor,
  key: Tensor,
): ChunkScores {
  const { attrs, dims } = call;
  const raw = byQueryHead(tf.matMul(query, key, false, true), dims);
  const capped = attrs.softcap ? tf.mul(tf.tanh(tf.div(raw, attrs.softcap)), attrs.softcap) : raw;
  const biasPart = call.bias && biasOfChunk(call.bias, chunk);
  const visibility = visibilityOf(attrs, block, chunk, biasPart);
  const { visible } = visibility;
  if (!visible) return { ...visibility, capped, masked: capped };
  const added = biasPart && attrs.biasKind === 'float' ? withinMax(biasPart) : tf.scalar(0);
  return {
    ...visibility,
    capped,
    masked: tf.add(capped, tf.where(visible, added, tf.scalar(LOWEST))),
  };
}

/** tfjs' max on webgl begins at -1e20 and would miss a row of lower scores, so none is lower there. */
const LOWEST_OF_WEBGL_MAX = -1e19;

function withinMax(bias: Tensor): Tensor {
  return tf.getBackend() === 'webgl' ? tf.maximum(bias, tf.scalar(LOWEST_OF_WEBGL_MAX)) : bias;
}

/**
 * Weights as exp() gave them, with those of hidden keys made 0 where they may not be: a float bias
 * may itself be as low as LOWEST, and then a row of nothing else has hidden keys in its range.
 */
export function hideWeights(weights: Tensor, visible: Tensor | null, call: AttentionCall): Tensor {
  if (!visible || call.attrs.biasKind !== 'float') return weights;
  return tf.where(visible, weights, tf.scalar(0));
}

/** What dropout multiplies the weights of a chunk by, [B, H, c, n]: 0 or 1 / (1 - p). */
export function dropoutFactors(call: AttentionCall, block: Block, chunk: Chunk): Tensor {
  const { attrs, dims } = call;
  const rows = rowsOfKeys(attrs.plan, block, chunk.j0, chunk.j1);
  const queries = chunk.i1 - chunk.i0;
  const threshold = dropThreshold(attrs.p);
  const kept = 1 / (1 - attrs.p);
  const factors = new Float32Array(dims.batch * dims.heads * queries * rows.length);
  let at = 0;
  for (let b = 0; b < dims.batch; b++) {
    for (let h = 0; h < dims.heads; h++) {
      for (let i = 0; i < queries; i++) {
        const key = rowKey(attrs.seed, b, h, block.qStart + chunk.i0 + i);
        for (const row of rows) factors[at++] = isKept(key, row, threshold) ? kept : 0;
      }
    }
  }
  return tf.tensor(factors, [dims.batch, dims.heads, queries, rows.length]);
}
