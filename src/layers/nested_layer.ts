// SPDX-License-Identifier: Apache-2.0
/** A layer inside a layer: recognized, built under a name, written to a configuration and read back. */
import { serialization } from '@tensorflow/tfjs-core';
import { input, layers } from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';
import { describe, rangeError, typeError } from '../spec/errors.js';

export type Layer = layers.Layer;

/** What may stand for a layer: itself, or the {className, config} that its owner's getConfig() has. */
export type LayerIdentifier = Layer | serialization.ConfigDict;

/** The layer of an identifier. */
export function resolveLayer(op: string, argument: string, identifier: LayerIdentifier): Layer {
  if (identifier instanceof layers.Layer) return identifier;
  const { className, config } = (identifier ?? {}) as serialization.ConfigDict;
  if (typeof className !== 'string' || config === null || typeof config !== 'object') {
    throw typeError({
      op,
      argument,
      expected: 'a layer of tf.layers, or {className, config}',
      got: describe(identifier),
      mend: 'Pass for example tf.layers.layerNormalization(), or leave it out.',
    });
  }
  const entry = serialization.SerializationMap.getMap().classNameMap[className];
  const layer = entry && entry[1](entry[0], config as serialization.ConfigDict);
  if (!(layer instanceof layers.Layer)) {
    throw rangeError({
      op,
      argument,
      expected: 'of a registered layer class',
      got: `'${className}'`,
      mend: 'Register the class with tf.serialization.registerClass() first.',
    });
  }
  return layer;
}

/** The {className, config} that `resolveLayer` takes back. */
export function layerConfig(layer: Layer): serialization.ConfigDict {
  return { className: layer.getClassName(), config: layer.getConfig() };
}

/** A configuration without the `customObjects` that tfjs adds to it when it loads a model. */
export function ownConfig(config: serialization.ConfigDict): serialization.ConfigDict {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== 'customObjects'));
}

/**
 * Builds a layer for inputs of a shape, its weights named `<owner>/<scope>/…`: tfjs names weights
 * after the layers that are being applied, so this one bears the scope's name for that moment. Call it
 * in the build() of the owner.
 */
export function buildAs(layer: Layer, scope: string, shape: Shape): void {
  const ownName = layer.name;
  layer.name = scope;
  try {
    layer.apply(input({ batchShape: shape }));
  } finally {
    layer.name = ownName;
  }
}
