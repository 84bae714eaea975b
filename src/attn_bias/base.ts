// SPDX-License-Identifier: Apache-2.0
import { tensor } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { describe, rangeError } from '../spec/errors.js';
import { blocksOf, keyRow, visible } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { checkShape, sizeOf } from '../spec/shape.js';

/** Known to every copy of this package: `instanceof` would tell copies apart. */
const BRAND = Symbol.for('tfjs-xformers.AttentionBias');

/** Whether `x` is a mask of this package, be it of another copy of it in the process. */
export function isAttentionBias(x: unknown): x is AttentionBias {
  return typeof x === 'object' && x !== null && BRAND in x;
}

/**
 * A rule which keys each query may attend, in a form that kernels can use without an Mq x Mk array.
 * Pass one as `attnBias` to the attention ops. Masks are immutable, and hold lengths as JavaScript
 * numbers, so that no op waits for the GPU to validate them.
 *
 * @example
 * const output = memoryEfficientAttention(q, k, v, new attnBias.LowerTriangularMask());
 */
export abstract class AttentionBias {
  /** The name in error messages: unlike `constructor.name`, minifiers leave it alone. */
  static readonly className: string = 'AttentionBias';

  readonly [BRAND] = true;

  /** Whether the mask takes several sequences packed one after the other: then B must be 1. */
  readonly packsSequences: boolean = false;

  /** A float32 tensor added to the scaled scores, in LowerTriangularMaskWithTensorBias only. */
  declare readonly bias?: Tensor;

  get className(): string {
    return (this.constructor as typeof AttentionBias).className;
  }

  /**
   * The mask as kernels take it, after a check of the lengths of the tensors.
   *
   * @param queries length Mq of the query tensor.
   * @param keys length Mk of the key tensor.
   * @param op the op to name in an error message.
   * @throws RangeError if the mask was made for other lengths.
   * @internal
   */
  abstract plan(queries: number, keys: number, op?: string): MaskPlan;

  /**
   * The mask as a float32 tensor, 0 where a query may attend a key and -Infinity elsewhere, the same
   * for all batch axes. For debugging and tests: the ops never make this array.
   *
   * @param shape `[...batch, Mq, Mk]`; with a paged mask Mk counts the rows of the key tensor.
   * @throws TypeError or RangeError if `shape` is no shape of two axes or more, or does not have the
   *   lengths that the mask was made for.
   * @example
   * new attnBias.LowerTriangularMask().materialize([2, 2]).print();   // [[0, -Infinity], [0, 0]]
   */
  materialize(shape: number[]): Tensor {
    const op = `${this.className}.materialize`;
    checkShape(op, 'shape', shape);
    if (shape.length < 2) {
      throw rangeError({
        op,
        argument: 'shape',
        expected: '[...batch, queries, keys]',
        got: describe(shape),
        mend: 'Pass at least the two lengths, such as [4, 4].',
      });
    }
    const [queries, keys] = shape.slice(-2) as [number, number];
    const matrix = scores(this.plan(queries, keys, op), queries, keys);
    const values = new Float32Array(sizeOf(shape));
    for (let at = 0; at < values.length; at += matrix.length) values.set(matrix, at);
    return tensor(values, shape);
  }
}

/** The Mq x Mk matrix of a plan, straight from the definition in spec/mask.ts. */
function scores(plan: MaskPlan, queries: number, keys: number): Float32Array {
  const matrix = new Float32Array(queries * keys).fill(-Infinity);
  for (const block of blocksOf(plan, queries, keys)) {
    for (let i = 0; i < block.qLength; i++) {
      const row = (block.qStart + i) * keys;
      for (let j = 0; j < block.kLength; j++) {
        if (visible(plan, i, j, block.qLength, block.kLength))
          matrix[row + keyRow(plan, block, j)] = 0;
      }
    }
  }
  return matrix;
}
