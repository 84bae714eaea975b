// SPDX-License-Identifier: Apache-2.0
/** Trains a small vision transformer on drawn shapes. */
import { drawWeights } from '../layers/draw_weights.js';
import { fitAndScore } from '../layers/fit_and_score.js';
import { buildVisionTransformer } from './model.js';
import { CLASSES, makePictures } from './pictures.js';

const SIZE = 16;

export interface VisionRun {
  epochs: number;
  seed: number;
  /** Is told after each epoch what share of the training pictures was named rightly. */
  onEpoch?: (epoch: number, loss: number, accuracy: number) => void;
}

function drawPictures(count: number, seed: number) {
  const { images, labels } = makePictures(count, SIZE, seed);
  return { x: images, y: labels };
}

/** @returns the share of 500 new pictures that the model names rightly */
export function trainVision({ epochs, seed, onEpoch }: VisionRun): Promise<number> {
  const model = drawWeights(
    buildVisionTransformer({
      ...{ size: SIZE, channels: 1, patch: 4, classes: CLASSES.length },
      ...{ width: 48, mlpWidth: 96, heads: 4, blocks: 2, castTo: 'bfloat16' },
    }),
    seed,
  );
  return fitAndScore({
    ...{ model, loss: 'categoricalCrossentropy', learningRate: 2e-3, epochs, onEpoch },
    training: drawPictures(4000, seed),
    validation: drawPictures(500, seed + 1),
  });
}
