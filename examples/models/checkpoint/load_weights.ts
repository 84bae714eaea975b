// SPDX-License-Identifier: Apache-2.0
/**
 * Fills a model with the weights of a checkpoint. All names and shapes are checked before the first value is read.
 *
 * PyTorch keeps a linear layer's matrix as [outputs, inputs], Keras as [inputs, outputs], and that of heads with an
 * axis for them: a stored [H*K, C] becomes [C, H, K] by a transpose and a reshape.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import type { Checkpoint } from './checkpoint.js';
import { CheckpointError } from './error.js';

/** Where one weight of a layer comes from. */
export interface WeightSource {
  /** Its names in checkpoints; the first that is there counts. */
  names: readonly string[];
  /** As stored. */
  shape: readonly number[];
  /** The layer's; a stored matrix is transposed first if `isTransposed`. */
  to: readonly number[];
  isTransposed: boolean;
}

/** The weights of one layer, in its own order. */
export interface LayerWeights {
  layer: string;
  weights: readonly WeightSource[];
}

/** A matrix [outputs, inputs] as a kernel of shape `to`, by default [inputs, outputs]. */
export function kernel(
  names: string | readonly string[],
  outputs: number,
  inputs: number,
  to: readonly number[] = [inputs, outputs],
): WeightSource {
  return { names: [names].flat(), shape: [outputs, inputs], to, isTransposed: true };
}

/** A weight that is stored as it is used, or with its axes in one. */
export function plain(
  names: string | readonly string[],
  shape: readonly number[],
  to: readonly number[] = shape,
): WeightSource {
  return { names: [names].flat(), shape, to, isTransposed: false };
}

const listed = (names: readonly string[]) =>
  `${names.slice(0, 5).join(', ')}${names.length > 5 ? `, … ${names.length} in all` : ''}`;

/** Finds every weight in the checkpoint. @throws CheckpointError that names what is missing or of another shape */
export function checkWeights(checkpoint: Checkpoint, plan: readonly LayerWeights[]): void {
  const sources = plan.flatMap(({ weights }) => weights);
  const missing = sources.filter(({ names }) => !names.some((name) => checkpoint.has(name)));
  if (missing.length > 0) {
    throw new CheckpointError(
      `The checkpoint lacks weights that its config.json asks for: ${listed(missing.map(({ names }) => names[0]!))}. ` +
        'Download all of its files, and the config.json that belongs to them.',
    );
  }
  for (const { names, shape } of sources) {
    const name = names.find((each) => checkpoint.has(each))!;
    const stored = checkpoint.shapeOf(name);
    if (stored.join() === shape.join()) continue;
    throw new CheckpointError(
      `${name} has the shape [${stored.join(', ')}], and by config.json it should be [${shape.join(', ')}]. ` +
        'Weights and config.json belong to different models.',
    );
  }
}

async function readWeight(checkpoint: Checkpoint, source: WeightSource): Promise<Tensor> {
  const name = source.names.find((each) => checkpoint.has(each))!;
  const values = await checkpoint.read(name);
  return tf.tidy(() => {
    const stored = tf.tensor(values, [...source.shape]);
    return tf.reshape(source.isTransposed ? tf.transpose(stored) : stored, [...source.to]);
  });
}

/**
 * Loads what `checkWeights` has found, layer by layer, so that little more than the model is in memory at any time.
 *
 * @param onLayer is told how many layers are done, and of how many.
 * @returns the names of tensors that the model has no use for
 */
export async function loadWeights(
  model: tfl.LayersModel,
  checkpoint: Checkpoint,
  plan: readonly LayerWeights[],
  onLayer: (done: number, total: number) => void = () => {},
): Promise<string[]> {
  const unused = new Set(checkpoint.names());
  for (const [index, { layer, weights }] of plan.entries()) {
    const tensors: Tensor[] = [];
    try {
      for (const source of weights) tensors.push(await readWeight(checkpoint, source));
      model.getLayer(layer).setWeights(tensors);
    } finally {
      tf.dispose(tensors);
    }
    for (const { names } of weights) for (const name of names) unused.delete(name);
    onLayer(index + 1, plan.length);
  }
  return [...unused];
}
