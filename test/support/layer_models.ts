// SPDX-License-Identifier: Apache-2.0
/** What the suites of layers do with models. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** The model after a save to memory, topology and weights, and a load. */
export async function saveAndLoad(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  let saved: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler((artifacts) => {
    saved = artifacts;
    return Promise.resolve({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) });
  });
  await model.save(handler);
  // What a file would hold: text.
  const text = JSON.stringify(saved!.modelTopology);
  const artifacts = { ...saved!, modelTopology: JSON.parse(text) as object };
  return tfl.loadLayersModel(tf.io.fromMemory(artifacts));
}

/** The values that `f` computes; all its tensors are disposed. */
export async function valuesOf(f: () => tf.Tensor): Promise<Float32Array> {
  const result = tf.tidy(f);
  const values = await result.data();
  result.dispose();
  return values as Float32Array;
}

/** One output of a model for one or several inputs. */
export function predict(model: tfl.LayersModel, inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return model.predict(inputs) as tf.Tensor;
}

/** A layer's output, of tensors or of symbolic ones like the inputs. */
export function applied<T extends tf.Tensor | tfl.SymbolicTensor>(
  layer: tfl.layers.Layer,
  inputs: T | T[],
  kwargs: Record<string, unknown> = {},
): T {
  return layer.apply(inputs as tf.Tensor[], kwargs) as T;
}

/** [B, M, features] -> [B, M, heads, dim], through a dense layer, as models project their heads. */
export function projectHeads(
  x: tfl.SymbolicTensor,
  length: number,
  heads: number,
  dim: number,
): tfl.SymbolicTensor {
  const flat = applied(tfl.layers.dense({ units: heads * dim, useBias: false }), x);
  return applied(tfl.layers.reshape({ targetShape: [length, heads, dim] }), flat);
}

/** Disposes of layers that were used without a model. */
export function disposeLayers(...layers: tfl.layers.Layer[]): void {
  for (const layer of layers) if (layer.weights.length > 0) layer.dispose();
}
