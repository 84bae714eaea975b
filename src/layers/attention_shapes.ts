// SPDX-License-Identifier: Apache-2.0
/** The shapes that attention layers take: query, key and value of rank 4, sizes known or null. */
import type { Shape } from '@tensorflow/tfjs-layers';
import { attentionDims } from '../spec/attention.js';
import { describe, rangeError } from '../spec/errors.js';

export type AttentionShapes = readonly [query: Shape, key: Shape, value: Shape];

const NAMES = ['query', 'key', 'value'] as const;

/** Throws unless there are three shapes of rank 4 that fit; an unknown size fits any. */
export function checkAttentionShapes(op: string, inputShape: Shape | Shape[]): AttentionShapes {
  const isList = Array.isArray(inputShape[0]);
  const shapes = (isList ? inputShape : [inputShape]) as Shape[];
  if (shapes.length !== 3) {
    throw rangeError({
      op,
      argument: 'inputs',
      expected: 'three, [query, key, value]',
      got: `${shapes.length}`,
      mend: 'For self-attention project the input three times.',
    });
  }
  const [query, key, value] = shapes as [Shape, Shape, Shape];
  for (const [index, shape] of shapes.entries()) {
    if (shape.length !== 4) {
      throw rangeError({
        op,
        argument: NAMES[index]!,
        expected: 'of rank 4, [B, M, H, K]',
        got: `shape ${describe(shape)}`,
        mend: 'Split the heads with tf.layers.reshape({targetShape: [M, H, K]}).',
      });
    }
  }
  const batch = query[0] ?? key[0] ?? value[0] ?? 1;
  const keys = key[1] ?? value[1] ?? 1;
  const heads = query[2] ?? key[2] ?? value[2] ?? 1;
  const kvHeads = key[2] ?? value[2] ?? heads;
  const keyDim = query[3] ?? key[3] ?? 1;
  attentionDims(
    op,
    known(query, [batch, 1, heads, keyDim]),
    known(key, [batch, keys, kvHeads, keyDim]),
    known(value, [batch, keys, kvHeads, 1]),
  );
  return [query, key, value];
}

function known(shape: Shape, fallback: number[]): number[] {
  return shape.map((size, axis) => size ?? fallback[axis]!);
}
