// SPDX-License-Identifier: Apache-2.0
/**
 * The operands and the mask of attention over a cache whose tensors may have more rows than are in use.
 *
 * With room to spare, the sequences of the batch become packed ones: query [1, B*Mq, …] over keys
 * [1, B*rows, …], which is a reshape, and a padded-keys mask that sees the first `used` rows of each. The
 * padding of the cached steps is then B*rows values beside it. An explicit attention mask, which is
 * Mq x Mk large as it is, gets the causal band written into it and is filled up to all rows.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import {
  BlockDiagonalCausalLocalAttentionPaddedKeysMask as WindowMask,
  BlockDiagonalCausalWithOffsetPaddedKeysMask as CausalMask,
} from '../../attn_bias/index.js';
import type { AttentionBias } from '../../attn_bias/index.js';
import type { AttnBias } from '../../ops/attention_call.js';
import type { FloatTensor } from '../../spec/dtype.js';
import type { Operands } from '../../layers/attention_layer.js';
import { withPadding } from '../../layers/key_mask.js';
import { reshapeTo } from '../../layers/qk_norm/head_normalization.js';
import type { CachedRows } from './cache_part.js';
import { callMask } from './call_mask.js';

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
 * bool [1 or B, 1 or H, Mq, used] or null. Call it in a tf.tidy.
 */
export function cachedCall(
  query: FloatTensor,
  rows: CachedRows,
  { band, windowSize }: CausalBand,
  attentionMask: Tensor | null,
): CachedCall {
  const { key, value, real, used } = rows;
  const room = key.shape[1]!;
  const operands = [query, key, value] as const;
  if (room === used) {
    return { operands, mask: callMask(band, real && tf.notEqual(real, 0), attentionMask) };
  }
  if (attentionMask) return { operands, mask: filledUp(attentionMask, band, real, room) };
  const [batch, queries] = query.shape as [number, number];
  const lengths = (n: number) => new Array<number>(batch).fill(n);
  const packed =
    windowSize === undefined
      ? CausalMask.fromSeqlens(lengths(queries), room, lengths(used))
      : WindowMask.fromSeqlensLocal(lengths(queries), room, lengths(used), windowSize);
  const inOne = (x: FloatTensor) => reshapeTo(x, [1, batch * x.shape[1]!, ...x.shape.slice(2)]);
  return {
    operands: [inOne(query), inOne(key), inOne(value)],
    mask: withPadding(packed, real && tf.reshape(padded(real, room), [1, 1, 1, batch * room])),
  };
}

/** All that hides keys as one bool tensor over all rows, those not in use hidden. */
function filledUp(
  attentionMask: Tensor,
  band: AttentionBias,
  real: Tensor | null,
  room: number,
): Tensor {
  const [queries, used] = attentionMask.shape.slice(2) as [number, number];
  const causal = tf.exp(band.materialize([1, 1, queries, used]));
  const given = tf.where(attentionMask, tf.scalar(1), tf.scalar(0));
  const visible = tf.mul(given, causal);
  const all = real ? tf.mul(visible, tf.reshape(real, [real.shape[0]!, 1, 1, used])) : visible;
  return padded(all, room);
}

/** `real`, 0 where hidden, with hidden columns up to `room`, as bool. */
function padded(real: Tensor, room: number): Tensor {
  const columns = real.shape.at(-1)!;
  const paddings = real.shape.map((_, axis): [number, number] => [
    0,
    axis === real.rank - 1 ? room - columns : 0,
  ]);
  return tf.notEqual(tf.pad(real, paddings), 0);
}
