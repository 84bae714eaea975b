// SPDX-License-Identifier: Apache-2.0
/**
 * The operands and the mask of attention over a cache whose tensors may have more rows than are in use.
 *
 * With room to spare, the sequences of the batch become packed ones: query [1, B*Mq, …] over keys
 * [1, B*room, …], which is a reshape, and a padded-keys mask that sees the first rows of each. Where padding
 * or an attention mask hides steps besides, all of it is one bool tensor of Mq x room; Mq is 1 in generation.
 */
import { notEqual } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import {
  BlockDiagonalCausalLocalAttentionPaddedKeysMask as WindowMask,
  BlockDiagonalCausalWithOffsetPaddedKeysMask as CausalMask,
} from '../../attn_bias/index.js';
import type { AttentionBias } from '../../attn_bias/index.js';
import type { AttnBias } from '../../ops/attention_call.js';
import type { FloatTensor } from '../../spec/dtype.js';
import type { Operands } from '../../layers/attention_layer.js';
import { reshapeTo } from '../../layers/qk_norm/head_normalization.js';
import type { CachedRows } from './cache_part.js';
import { callMask, maskWithRoom } from './call_mask.js';
import type { CallDims } from './call_mask.js';

/** The causal mask of a layer, with its window. */
export interface CausalBand {
  band: AttentionBias;
  windowSize: number | undefined;
}

/** What the attention over a cache is called with; its output is [1, B*Mq, …] or [B, Mq, …]. */
export interface CachedCall {
  operands: Operands;
  mask: AttnBias;
}

/**
 * The call for new queries [B, Mq, H, K] whose last is the last step of the cache. `attentionMask` is
 * bool [1 or B, 1 or H, Mq, keys] or null. Call it in a tf.tidy.
 */
export function cachedCall(
  query: FloatTensor,
  { key, value, real, used }: CachedRows,
  { band, windowSize }: CausalBand,
  attentionMask: Tensor | null,
): CachedCall {
  const [batch, queries, heads] = query.shape as [number, number, number];
  const room = key.shape[1]!;
  const dims: CallDims = { batch, heads, queries, keys: used };
  const hidden = { structure: band, keys: real && notEqual(real, 0), attentionMask };
  if (room === used) return { operands: [query, key, value], mask: callMask(hidden, dims) };
  if (real || attentionMask) {
    return { operands: [query, key, value], mask: maskWithRoom(hidden, dims, room) };
  }
  const lengths = (n: number) => new Array<number>(batch).fill(n);
  const mask =
    windowSize === undefined
      ? CausalMask.fromSeqlens(lengths(queries), room, lengths(used))
      : WindowMask.fromSeqlensLocal(lengths(queries), room, lengths(used), windowSize);
  const inOne = (x: FloatTensor) => reshapeTo(x, [1, batch * x.shape[1]!, ...x.shape.slice(2)]);
  return { operands: [inOne(query), inOne(key), inOne(value)], mask };
}
