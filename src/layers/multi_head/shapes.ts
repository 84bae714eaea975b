// SPDX-License-Identifier: Apache-2.0
/** The inputs of multiHeadAttention: query, [value], [key], each [B, M, C], sizes known or null. */
import type { Shape } from '@tensorflow/tfjs-layers';
import { describe, rangeError } from '../../spec/errors.js';

/** Every input in Keras' order; value is query where there is none, and key is value. */
export interface Triple<T> {
  query: T;
  value: T;
  key: T;
}

/** The three of a list of one to three. */
export function tripleOf<T>(op: string, inputs: readonly T[]): Triple<T> {
  const [query, value = query, key = value] = inputs;
  if (query === undefined || inputs.length > 3) {
    throw rangeError({
      op,
      argument: 'inputs',
      expected: 'one to three, [query, value, key]',
      got: `${inputs.length}`,
      mend: 'value is query where it is left out, and key is value.',
    });
  }
  return { query, value: value!, key: key! };
}

/** The shapes of a build or call; throws unless they are of rank 3 and fit, with known channels. */
export function checkShapes(op: string, inputShape: Shape | Shape[]): Triple<Shape> {
  const isList = Array.isArray(inputShape[0]);
  const shapes = tripleOf(op, (isList ? inputShape : [inputShape]) as Shape[]);
  const reject = (argument: string, expected: string, shape: Shape, mend: string) =>
    rangeError({ op, argument, expected, got: `shape ${describe(shape)}`, mend });
  for (const [name, shape] of Object.entries(shapes) as [string, Shape][]) {
    if (shape.length !== 3 || shape[2] === null) {
      const mend = 'Its last axis is projected into heads: reshape the others into the batch.';
      throw reject(name, 'of rank 3, [B, M, C], with known C', shape, mend);
    }
    if (differ(shape[0], shapes.query[0])) {
      const expected = `of batch size ${shapes.query[0]}, like query`;
      throw reject(name, expected, shape, 'All inputs share the batch.');
    }
  }
  const { key, value } = shapes;
  if (differ(key[1], value[1])) {
    throw reject('key', `of ${value[1]} steps, like value`, key, 'Each key has one value.');
  }
  return shapes;
}

function differ(a: number | null | undefined, b: number | null | undefined): boolean {
  return typeof a === 'number' && typeof b === 'number' && a !== b;
}
