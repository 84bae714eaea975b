// SPDX-License-Identifier: Apache-2.0
/** What models are put together with, and taken apart. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/** A layer's output of symbolic inputs: tfjs declares a union. */
export function apply(
  layer: tfl.layers.Layer,
  inputs: tfl.SymbolicTensor | tfl.SymbolicTensor[],
): tfl.SymbolicTensor {
  return layer.apply(inputs) as tfl.SymbolicTensor;
}

/** The one input of a call, which tfjs may hand over in an array. */
export function oneOf(inputs: Tensor | Tensor[]): Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}

/** Frees a model's weights, those of layers that it calls twice, too: tfjs counts each call as an owner. */
export function disposeModel(model: tfl.LayersModel): void {
  model.dispose();
  for (const layer of model.layers) {
    const owners = layer as unknown as { _refCount: number | null };
    while ((owners._refCount ?? 0) > 0) layer.dispose();
  }
}
