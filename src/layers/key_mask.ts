// SPDX-License-Identifier: Apache-2.0
/**
 * Masks of tf.layers (`embedding({maskZero: true})`, `masking`) as a mask of attention.
 *
 * A mask says which steps of a tensor are real, so what hides keys is the mask of key and value.
 * tfjs' ways of handing it over differ:
 * - a model inside a model hands over all three, in an array that it then keeps for the next call,
 *   too: it is taken out here, so that the next call gets its own;
 * - a model hands over the first input's, or if that has none then the mask that an earlier layer
 *   got, which is what a mask that was lost in a reshape looks like. Its shape decides;
 * - a masking layer that made the tensor itself leaves the mask in `kerasMask`.
 */
import * as tf from '@tensorflow/tfjs-core';
import { AttentionBias } from '../attn_bias/index.js';
import type { FloatTensor } from '../spec/dtype.js';
import { describe, rangeError } from '../spec/errors.js';
import type { MaskPlan } from '../spec/mask.js';

/** A mask and a tensor that is added to the scores besides. */
class MaskWithBias extends AttentionBias {
  static override readonly className: string = 'MaskWithBias';
  override readonly packsSequences: boolean;

  constructor(
    private readonly mask: AttentionBias,
    override readonly bias: tf.Tensor,
  ) {
    super();
    this.packsSequences = mask.packsSequences;
  }

  plan(queries: number, keys: number, op?: string): MaskPlan {
    return this.mask.plan(queries, keys, op);
  }
}

/** `mask`, with the keys hidden that `padding` (bool, [B, 1 or H, 1, Mk]) has as false. */
export function withPadding(
  mask: AttentionBias | null,
  padding: tf.Tensor | null,
): AttentionBias | tf.Tensor | null {
  if (!padding || !mask) return padding ?? mask;
  return new MaskWithBias(mask, tf.where(padding, tf.scalar(0), tf.scalar(-Infinity)));
}

/** Which keys are real, bool [B, 1 or H, 1, Mk]; null if nothing says so. Call it in a tf.tidy. */
export function keyPadding(
  [query, key, value]: readonly [FloatTensor, FloatTensor, FloatTensor],
  kwargs: Record<string, unknown>,
  op: string,
): tf.Tensor | null {
  const sizes: Sizes = {
    batch: key.shape[0]!,
    keys: key.shape[1]!,
    heads: query.shape[2]!,
    kvHeads: key.shape[2]!,
  };
  const explicit = Array.isArray(kwargs['mask']);
  const paddings = masksOf(key, value, kwargs)
    .map((mask) => {
      const padding = asPadding(mask, sizes);
      if (explicit && !padding) throw unfit(op, mask, sizes);
      return padding;
    })
    .filter((padding) => padding !== null);
  const [first, second] = paddings;
  return first && second ? tf.logicalAnd(first, second) : (first ?? null);
}

function masksOf(key: FloatTensor, value: FloatTensor, kwargs: Record<string, unknown>): unknown[] {
  const given = kwargs['mask'];
  if (Array.isArray(given)) {
    delete kwargs['mask'];
    const masks = new Set<unknown>(given.slice(1, 3));
    return [...masks].filter((mask) => mask !== null && mask !== undefined);
  }
  const own = new Set([(key as Masked).kerasMask, (value as Masked).kerasMask]);
  const masks = [...own].filter(isLiveTensor);
  return masks.length > 0 ? masks : [given];
}

/** A mask that was given for this key or value, and is none of it. */
function unfit(op: string, mask: unknown, { batch, keys, heads, kvHeads }: Sizes): Error {
  const counts = [...new Set([heads, kvHeads])].join(' or ');
  return rangeError({
    op,
    argument: 'mask',
    expected: `a live tensor [${batch}, ${keys}] or [${batch}, ${keys}, ${counts}] for key and value`,
    got: isLiveTensor(mask) ? `shape [${mask.shape.join(', ')}]` : describe(mask),
    mend: 'Pass null for an input without a mask.',
  });
}

interface Masked {
  kerasMask?: unknown;
}

interface Sizes {
  batch: number;
  keys: number;
  heads: number;
  kvHeads: number;
}

/** Whether a mask that was handed over is a tensor still. */
export function isLiveTensor(x: unknown): x is tf.Tensor {
  return x instanceof tf.Tensor && !x.isDisposed;
}

/** A mask of 0 and 1, or of bool already, as bool. */
export function asBool(mask: tf.Tensor): tf.Tensor {
  return mask.dtype === 'bool' ? mask : tf.notEqual(mask, 0);
}

/** A mask [B, Mk] or [B, Mk, heads] as padding; null for one of other sizes: not of these keys. */
function asPadding(mask: unknown, { batch, keys, heads, kvHeads }: Sizes): tf.Tensor | null {
  if (!isLiveTensor(mask) || mask.shape[0] !== batch || mask.shape[1] !== keys) return null;
  const bool = asBool(mask);
  if (mask.rank === 2) return tf.reshape(bool, [batch, 1, 1, keys]);
  const maskHeads = mask.shape[2]!;
  if (mask.rank !== 3 || (maskHeads !== heads && maskHeads !== kvHeads)) return null;
  // tfjs' WebGPU backend cannot transpose bool tensors, nor what tf.cast makes of them.
  const byHead = tf.transpose(tf.where(bool, tf.scalar(1), tf.scalar(0)), [0, 2, 1]);
  // Mask head g serves the query heads from g * repeats on.
  const repeats = heads / maskHeads;
  const repeated = tf.tile(tf.reshape(byHead, [batch, maskHeads, 1, keys]), [1, 1, repeats, 1]);
  return tf.notEqual(tf.reshape(repeated, [batch, heads, 1, keys]), 0);
}
