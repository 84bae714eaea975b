// SPDX-License-Identifier: Apache-2.0
/** Layers of multi-head attention for the suites of what they reject: built once, as only calls are counted. */
import type * as tf from '@tensorflow/tfjs-core';
import { layers } from '../../src/index.js';
import { words, wrong } from './rejection.js';
import type { Rejected, TensorPool } from './rejection.js';

export const OP = 'multiHeadAttention';
export const SIZES = { numHeads: 4, keyDim: 8 };
export type Args = Record<string, unknown>;

export const make = (args: Args = {}) => layers.multiHeadAttention(wrong({ ...SIZES, ...args }));

/** Layers that are built once: what is tested are calls, and a build makes tensors. */
const built = new Map<string, layers.MultiHeadAttention>();

export function layerOf(args: Args, shape: number[] = [1, 4, 6]): layers.MultiHeadAttention {
  const key = JSON.stringify([args, shape]);
  let layer = built.get(key);
  if (!layer) {
    layer = make(args);
    layer.build(shape);
    layer.built = true;
    built.set(key, layer);
  }
  return layer;
}

/** A call of a layer for [1, 4, 6]. */
export function call(
  title: string,
  args: Args,
  callOf: (t: TensorPool) => [inputs: unknown, kwargs?: Args],
  argument: string,
  expected: string,
  got: string,
  type: typeof Error = RangeError,
): Rejected {
  return [
    title,
    (t) => {
      const [inputs, kwargs = {}] = callOf(t);
      return layerOf(args).call(inputs as tf.Tensor, kwargs);
    },
    type,
    words(OP, argument, expected, got),
  ];
}

export const x = (t: TensorPool) => t.f32(1, 4, 6);

export const causal = { causal: true };

/** Frees the layers that were built. */
export function disposeLayers(): void {
  for (const layer of built.values()) layer.weights.forEach((weight) => weight.dispose());
  built.clear();
}
