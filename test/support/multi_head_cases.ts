// SPDX-License-Identifier: Apache-2.0
/** What the suites of multiHeadAttention share: drawn inputs and weights, and the reference for a layer. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { layers } from '../../src/index.js';
import { drawTensor } from './draw.js';
import { applied } from './layer_models.js';
import { referenceMultiHead } from './reference_multi_head.js';
import type { MultiHeadProblem } from './reference_multi_head.js';

/** Heads of one size in all suites: each new one is another shader on WebGPU. */
export const [H, K] = [4, 16];

export type Shape3 = [number, number, number];

/** A drawn tensor [B, M, C] and its values. */
export interface Drawn {
  values: Float32Array;
  shape: Shape3;
}

export function drawn(seed: number, shape: Shape3): Drawn {
  return { values: drawTensor(seed, shape), shape };
}

/** The tensors of some drawn values. */
export function tensorsOf(...inputs: Drawn[]): tf.Tensor[] {
  return inputs.map(({ values, shape }) => tf.tensor(values, shape));
}

/** A layer that is built for inputs and has drawn weights; dispose of it with disposeLayers. */
export function builtLayer(
  args: layers.MultiHeadAttentionArgs,
  ...inputs: Drawn[]
): { layer: layers.MultiHeadAttention; weights: Float32Array[] } {
  const layer = layers.multiHeadAttention(args);
  tf.tidy(() => void applied<tf.Tensor>(layer, tensorsOf(...inputs)));
  return { layer, weights: setDrawnWeights(layer) };
}

/** Gives a built layer, or a model, other weights than the initial ones, which differ from run to run. */
export function setDrawnWeights(layer: tfl.layers.Layer): Float32Array[] {
  const values = layer.weights.map(({ shape, name }, index) => {
    const isGamma = name.includes('gamma');
    return drawTensor(1100 + index, shape as number[], 'float32', 0.3, isGamma ? 1 : 0);
  });
  tf.tidy(() => {
    layer.setWeights(
      values.map((v, index) => tf.tensor(v, layer.weights[index]!.shape as number[])),
    );
  });
  return values;
}

/** The reference's output for a layer of these sizes; `more` is what is not a size. */
export function reference(
  { sizes, useBias }: layers.MultiHeadAttention,
  weights: readonly Float32Array[],
  [query, value = query, key = value]: readonly [Drawn, Drawn?, Drawn?],
  more: Partial<MultiHeadProblem> = {},
): Float64Array {
  const own = useBias ? 8 : 4;
  return referenceMultiHead({
    batch: query.shape[0],
    queries: query.shape[1],
    keys: key.shape[1],
    heads: sizes.numHeads,
    kvHeads: sizes.numKvHeads,
    keyDim: sizes.keyDim,
    valueDim: sizes.valueDim,
    units: sizes.units ?? query.shape[2],
    query: query.values,
    key: key.values,
    value: value.values,
    weights: weights.slice(0, own),
    useBias,
    normWeights: weights.slice(own),
    ...more,
  });
}
