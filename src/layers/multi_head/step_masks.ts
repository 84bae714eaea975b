// SPDX-License-Identifier: Apache-2.0
/**
 * Masks of tf.layers on the inputs of multiHeadAttention: which steps are real, bool [B, M] each.
 *
 * How they arrive (layers/key_mask.ts says why): in `mask`, an array in the inputs' order that the
 * user or a model inside a model hands over; in `mask`, one tensor, which is the query's or, where the
 * query has none, that of any layer before, so that it is taken in self-attention only; or in the
 * `kerasMask` of a tensor that a masking layer made.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { describe, rangeError } from '../../spec/errors.js';
import { sameShape } from '../../spec/shape.js';
import { asBool, isLiveTensor } from '../../layers/key_mask.js';
import { tripleOf } from './shapes.js';
import type { Triple } from './shapes.js';

/** Null where nothing says which steps are real. */
export interface StepMasks {
  query: Tensor | null;
  /** Of key and value together. */
  keys: Tensor | null;
}

/** The masks of a call. Call it in a tf.tidy. */
export function stepMasks(
  op: string,
  inputs: Triple<Tensor>,
  kwargs: Record<string, unknown>,
): StepMasks {
  const { query, value, key } = masksOf(op, inputs, kwargs);
  const distinct = value && key && value !== key;
  const keys = distinct ? tf.logicalAnd(asBool(value), asBool(key)) : (key ?? value);
  return { query: query && asBool(query), keys: keys && asBool(keys) };
}

/** x [B, M, H, V] with 0 in the steps that are not real. */
export function hideSteps(x: Tensor, mask: Tensor | null): Tensor {
  if (!mask) return x;
  const factor = tf.where(mask, tf.scalar(1), tf.scalar(0));
  return tf.mul(x, tf.reshape(factor, [x.shape[0]!, x.shape[1]!, 1, 1]));
}

function masksOf(
  op: string,
  inputs: Triple<Tensor>,
  kwargs: Record<string, unknown>,
): Triple<Tensor | null> {
  const given = kwargs['mask'];
  if (Array.isArray(given)) {
    // The array of a model inside a model is kept for its next call, which must get its own.
    delete kwargs['mask'];
    return explicitMasks(op, inputs, given);
  }
  const { query, value, key } = inputs;
  const isSelf = query === value && query === key;
  const own = (x: Tensor): Tensor | null => {
    const mask: unknown = (x as { kerasMask?: unknown }).kerasMask ?? (isSelf ? given : null);
    return fits(mask, x) ? mask : null;
  };
  return { query: own(query), value: own(value), key: own(key) };
}

function explicitMasks(
  op: string,
  inputs: Triple<Tensor>,
  given: readonly unknown[],
): Triple<Tensor | null> {
  const isOne = inputs.query === inputs.value && inputs.query === inputs.key;
  const [query = null, ...others] = given.slice(0, 3);
  // An input that is left out has the mask of the one that stands for it.
  const rest = others.length === 0 && !isOne ? [null] : others;
  const masks = tripleOf<unknown>(op, [query, ...rest]);
  const checked = (name: keyof Triple<unknown>): Tensor | null => {
    const [mask, x] = [masks[name], inputs[name]];
    if (mask === null || mask === undefined) return null;
    if (fits(mask, x)) return mask;
    throw rangeError({
      op,
      argument: 'mask',
      expected: `for ${name} a live tensor [${x.shape[0]}, ${x.shape[1]}]`,
      got: isLiveTensor(mask) ? `shape ${describe(mask.shape)}` : describe(mask),
      mend: 'Give one for each input, in their order; null for an input without a mask.',
    });
  };
  return { query: checked('query'), value: checked('value'), key: checked('key') };
}

function fits(mask: unknown, x: Tensor): mask is Tensor {
  return isLiveTensor(mask) && sameShape(mask.shape, x.shape.slice(0, 2));
}
