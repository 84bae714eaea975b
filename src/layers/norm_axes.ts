// SPDX-License-Identifier: Apache-2.0
/** Norms over other axes than the last one: moved to the end, flattened into one, and moved back. */
import { reshape, transpose } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Shape } from '@tensorflow/tfjs-layers';
import { describe, rangeError, typeError } from '../spec/errors.js';

/** Throws unless `axis` is a whole number or an array of them, not empty. */
export function checkAxis(op: string, axis: unknown): void {
  const axes: unknown[] = Array.isArray(axis) ? axis : [axis];
  if (axes.length === 0 || !axes.every((each) => Number.isInteger(each))) {
    throw typeError({
      op,
      argument: 'axis',
      expected: 'a whole number or an array of them',
      got: describe(axis),
      mend: 'Pass -1 for the last axis.',
    });
  }
}

/** The axes counted from the front, in the order given. */
export function resolveAxes(op: string, axis: number | readonly number[], rank: number): number[] {
  const given = typeof axis === 'number' ? [axis] : [...axis];
  const axes = given.map((each) => (each < 0 ? each + rank : each));
  const isInside = axes.every((each) => each >= 0 && each < rank);
  if (!isInside || new Set(axes).size !== axes.length) {
    throw rangeError({
      op,
      argument: 'axis',
      expected: `made of different axes from ${-rank} to ${rank - 1}`,
      got: describe(axis),
      mend: `The input has rank ${rank}; pass -1 for its last axis.`,
    });
  }
  return axes;
}

/** The sizes of the normed axes, which is the shape of gamma and beta. */
export function weightShape(op: string, inputShape: Shape, axes: readonly number[]): number[] {
  return axes.map((axis) => {
    const size = inputShape[axis];
    if (typeof size !== 'number') {
      throw rangeError({
        op,
        argument: 'axis',
        expected: 'made of axes of known size',
        got: `${axis} of an input of shape ${describe(inputShape)}`,
        mend: 'Give the input layer a full shape, or norm another axis.',
      });
    }
    return size;
  });
}

/**
 * Applies `norm`, which norms the last axis, to `axes` of x. Weights are flat in the order of
 * ascending axes, as tf.layers reads them. Over the last axis nothing is moved at all.
 */
export function normOverAxes(
  x: Tensor,
  axes: readonly number[],
  norm: (x: Tensor) => Tensor,
): Tensor {
  const sorted = [...axes].sort((a, b) => a - b);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !sorted.includes(axis));
  const order = [...kept, ...sorted];
  const isTrailing = order.every((axis, index) => axis === index);
  if (isTrailing && axes.length === 1) return norm(x);
  const moved = isTrailing ? x : transpose(x, order);
  const columns = sorted.reduce((product, axis) => product * x.shape[axis]!, 1);
  const flat = reshape(moved, [...kept.map((axis) => x.shape[axis]!), columns]);
  const normed = reshape(norm(flat), moved.shape);
  return isTrailing ? normed : transpose(normed, inverse(order));
}

function inverse(order: readonly number[]): number[] {
  return order.map((_, axis) => order.indexOf(axis));
}
