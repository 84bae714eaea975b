// SPDX-License-Identifier: Apache-2.0
import { Tensor, serialization } from '@tensorflow/tfjs-core';
import { LayersModel } from '@tensorflow/tfjs-layers';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { copyState, layersByOwner } from './copy_state.js';
import { FusedLayerNormalization } from './fused_layer_normalization.js';

const OP = 'useFusedLayers';
const REPLACED = 'LayerNormalization';

type Config = Record<string, unknown>;

/**
 * A model like this one in which every `tf.layers.layerNormalization` is a `fusedLayerNormalization`, of
 * the same outputs up to rounding: in Sequential and functional models, in models inside them, and
 * in layers that wrap one (timeDistributed, qkNormAttention).
 *
 * The model is rebuilt from its configuration, as tf.loadLayersModel would, so its layers must be of
 * registered classes. Names, trainable flags, masks and shared layers are kept. The weights are the new
 * model's own, but take no memory until either model changes them; each model is disposed of by itself,
 * and the given one can be used as before. The new model is not compiled: an optimizer
 * belongs to the model that it has trained.
 *
 * @param model any LayersModel; it is not changed.
 * @returns a new model; dispose of it when done.
 * @throws TypeError if `model` is no LayersModel; RangeError if a layer's class is not registered, or
 *   if a layer belongs to several of the models inside it, which a configuration cannot say.
 * @example
 * const fused = useFusedLayers(await tf.loadLayersModel('model.json'));
 * fused.predict(x);
 */
export function useFusedLayers(model: LayersModel): LayersModel {
  if (!(model instanceof LayersModel)) {
    throw typeError({
      op: OP,
      argument: 'model',
      expected: 'a LayersModel, made by tf.sequential(), tf.model() or tf.loadLayersModel()',
      got: describe(model),
      mend: 'Graph models hold no layers; there must be one copy of @tensorflow/tfjs-layers.',
    });
  }
  checkOwners(model);
  const config = withFusedNorms(model.getConfig()) as Config;
  checkRegistered(config);
  const [constructor, fromConfig] = registry()[model.getClassName()]!;
  // The last argument: initial weights are zeros, as they are replaced at once.
  const build = fromConfig as unknown as (...args: unknown[]) => LayersModel;
  const made = build(constructor, config, {}, true);
  copyState(model, made);
  return made;
}

function registry() {
  return serialization.SerializationMap.getMap().classNameMap;
}

/** A copy of a configuration with the norms replaced, and without the tensors that calls left in it. */
function withFusedNorms(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFusedNorms);
  if (value instanceof Tensor) return null;
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(([name, part]) => [name, withFusedNorms(part)]);
  const copy = Object.fromEntries(entries) as Config;
  if (copy['className'] === REPLACED) copy['className'] = FusedLayerNormalization.className;
  return copy;
}

function isPlain(value: unknown): value is Config {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Throws, before anything is made, if a {className, config} is of no registered class. */
function checkRegistered(value: unknown): void {
  if (Array.isArray(value)) return value.forEach(checkRegistered);
  if (!isPlain(value)) return;
  const { className, config } = value;
  if (typeof className === 'string' && isPlain(config) && !(className in registry())) {
    throw rangeError({
      op: OP,
      argument: 'model',
      expected: 'made of registered classes',
      got: `one with a ${className}`,
      mend: 'Register the class with tf.serialization.registerClass() first.',
    });
  }
  Object.values(value).forEach(checkRegistered);
}

/** Throws if a layer is in two of the models that this one is made of. */
function checkOwners(model: LayersModel): void {
  for (const [layer, owners] of layersByOwner(model)) {
    if (owners.size === 1) continue;
    throw rangeError({
      op: OP,
      argument: 'model',
      expected: 'one whose layers each belong to one model',
      got: `'${layer.name}' in ${[...owners].map((owner) => `'${owner.name}'`).join(' and ')}`,
      mend: 'Convert each of the models by itself; their weights would no longer be shared.',
    });
  }
}
