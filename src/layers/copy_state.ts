// SPDX-License-Identifier: Apache-2.0
/** What a model has besides its configuration: weights, flags and metadata, copied to one of the same layers. */
import { LayersModel } from '@tensorflow/tfjs-layers';
import type { LayerVariable } from '@tensorflow/tfjs-layers';
import type { Layer } from './nested_layer.js';

/** Each layer of a model and of those inside it, with the models that it belongs to. */
export function layersByOwner(model: LayersModel): Map<Layer, Set<LayersModel>> {
  const owners = new Map<Layer, Set<LayersModel>>();
  const visited = new Set<LayersModel>();
  const visit = (owner: LayersModel): void => {
    if (visited.has(owner)) return;
    visited.add(owner);
    for (const layer of owner.layers) {
      owners.set(layer, (owners.get(layer) ?? new Set()).add(owner));
      if (layer instanceof LayersModel) visit(layer);
    }
  };
  visit(model);
  return owners;
}

/**
 * Copies weights, the trainable flags of weights and models, and metadata. The new variables share the
 * data of the old ones until they are assigned something else.
 */
export function copyState(from: LayersModel, to: LayersModel): void {
  // Both set the flags of all weights inside, so they come before those.
  if (from.built && !to.built) to.build(to.inputs[0]!.shape);
  to.trainable = from.trainable;
  const metadata = from.getUserDefinedMetadata();
  if (metadata) to.setUserDefinedMetadata(metadata);
  const targets = new Map(to.layers.map((layer) => [layer.name, layer]));
  for (const layer of from.layers) {
    const target = targets.get(layer.name)!;
    if (layer instanceof LayersModel) {
      copyState(layer, target as LayersModel);
    } else {
      copyWeights(layer, target);
    }
  }
}

/**
 * Pairs weights by name. A layer lists those that are not trained after the others, so places may
 * differ until the flags are copied; where names differ, as after a rename, the places do not.
 */
function copyWeights(from: Layer, to: Layer): void {
  const byName = new Map(to.weights.map((weight) => [weight.originalName, weight]));
  const targets = to.weights;
  const pairs = from.weights.map((weight, index): [LayerVariable, LayerVariable] => [
    weight,
    byName.get(weight.originalName) ?? targets[index]!,
  ]);
  for (const [weight, target] of pairs) {
    target.write(weight.read());
    target.trainable = weight.trainable;
  }
}
