// SPDX-License-Identifier: Apache-2.0
import { describe, rangeError, typeError } from './errors.js';

/** Throws unless `shape` is an array of whole numbers, none negative. */
export function checkShape(op: string, argument: string, shape: unknown): void {
  if (!Array.isArray(shape)) {
    throw typeError({
      op,
      argument,
      expected: 'an array of sizes',
      got: describe(shape),
      mend: 'Pass a shape such as [2, 3].',
    });
  }
  if (!shape.every((n) => Number.isInteger(n) && (n as number) >= 0)) {
    throw rangeError({
      op,
      argument,
      expected: 'whole numbers, none negative',
      got: describe(shape),
      mend: 'Pass a shape such as [2, 3].',
    });
  }
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, axis) => n === b[axis]);
}
