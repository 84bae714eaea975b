// SPDX-License-Identifier: Apache-2.0
/**
 * All layers, registered for `tf.loadLayersModel`. Each module registers its own class; naming them all
 * here is what keeps those modules in a bundle.
 */
import { serialization } from '@tensorflow/tfjs-core';
import * as layers from './index.js';

type LayerClass = serialization.SerializableConstructor<serialization.Serializable>;

function isLayerClass(value: unknown): value is LayerClass {
  return typeof value === 'function' && 'className' in value;
}

for (const each of Object.values(layers)) {
  if (isLayerClass(each)) serialization.registerClass(each);
}

export * from './index.js';
