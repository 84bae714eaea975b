// SPDX-License-Identifier: Apache-2.0
/**
 * The layers as an entry of its own, which registers all of their classes for `tf.loadLayersModel`.
 *
 * Importing `layers` from the main entry does so too, except in a bundle, where only what is used is
 * left. A program that loads saved models without naming their layers imports this entry.
 *
 * @example
 * import 'tfjs-xformers/layers';
 * const model = await tf.loadLayersModel('https://example.com/model.json');
 * @packageDocumentation
 */
import { serialization } from '@tensorflow/tfjs-core';
import * as layers from './layers/index.js';
import './register.js';

type LayerClass = serialization.SerializableConstructor<serialization.Serializable>;

function isLayerClass(value: unknown): value is LayerClass {
  return typeof value === 'function' && 'className' in value;
}

// Each module registers its own class; naming them all here is what keeps those modules in a bundle.
for (const each of Object.values(layers)) {
  if (isLayerClass(each)) serialization.registerClass(each);
}

export * from './layers/index.js';
