// SPDX-License-Identifier: Apache-2.0
/** Pictures to learn from: a disc, ring, square, cross or triangle somewhere, of any size and brightness, in noise. */
import * as tf from '@tensorflow/tfjs-core';

import { seededRandom } from '../../shared/random.js';

/** Whether a point is in a shape of radius 1 around 0; y points down. */
const SHAPES: Readonly<Record<string, (x: number, y: number) => boolean>> = {
  disc: (x, y) => x * x + y * y < 1,
  ring: (x, y) => x * x + y * y < 1.2 && x * x + y * y > 0.35,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.85,
  cross: (x, y) =>
    Math.min(Math.abs(x), Math.abs(y)) < 0.3 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  triangle: (x, y) => y < 0.8 && y > 2 * Math.abs(x) - 1,
};

export const CLASSES: readonly string[] = Object.keys(SHAPES);

const NOISE = 0.15;

function draw(shape: string, size: number, random: () => number): number[] {
  const between = (low: number, high: number) => low + (high - low) * random();
  const radius = between(0.2, 0.3) * size;
  const [left, top] = [between(radius, size - radius), between(radius, size - radius)];
  const [ground, brightness] = [between(-0.5, 0.5), between(0.6, 1)];
  const isInside = SHAPES[shape]!;
  return Array.from({ length: size * size }, (_, pixel) => {
    const [x, y] = [(pixel % size) + 0.5, Math.floor(pixel / size) + 0.5];
    const light = isInside((x - left) / radius, (y - top) / radius) ? brightness : 0;
    return ground + light + between(-NOISE, NOISE);
  });
}

export interface Pictures {
  /** [count, size, size, 1]. */
  images: tf.Tensor4D;
  /** Their classes, one-hot [count, classes]. */
  labels: tf.Tensor2D;
}

/** As many pictures of each class, in turns; the caller disposes of the tensors. */
export function makePictures(count: number, size: number, seed: number): Pictures {
  const random = seededRandom(seed);
  const classes = Array.from({ length: count }, (_, index) => index % CLASSES.length);
  const values = classes.flatMap((each) => draw(CLASSES[each]!, size, random));
  return {
    images: tf.tensor4d(values, [count, size, size, 1]),
    labels: tf.tidy(() =>
      tf.cast(tf.oneHot(tf.tensor1d(classes, 'int32'), CLASSES.length), 'float32'),
    ) as tf.Tensor2D,
  };
}
