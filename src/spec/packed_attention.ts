// SPDX-License-Identifier: Apache-2.0
/** What packed attention accepts: one tensor with the heads of query, key and value one after the other. */
import { checkNumber } from './attention.js';
import type { AttentionDims } from './attention.js';
import { describe, rangeError } from './errors.js';

export interface PackedHeads {
  /** Query heads, H. */
  numHeads: number;
  /** Key and value heads, G, a divisor of H; default H. */
  numKvHeads?: number | undefined;
}

const SHAPES = '[B, M, (H + 2 G) * K], [B, M, H + 2 G, K] or, with G = H, [B, M, 3, H, K]';

function checkHeads(op: string, { numHeads, numKvHeads = numHeads }: PackedHeads): void {
  const isCount = (x: number) => Number.isInteger(x) && x > 0;
  const mend = 'For example {numHeads: 8, numKvHeads: 2}.';
  checkNumber(op, 'options.numHeads', numHeads, isCount, 'a whole number above 0', mend);
  checkNumber(op, 'options.numKvHeads', numKvHeads, isCount, 'a whole number above 0', mend);
  if (numHeads % numKvHeads !== 0) {
    throw rangeError({
      op,
      argument: 'options.numKvHeads',
      expected: `a divisor of numHeads, ${numHeads}`,
      got: String(numKvHeads),
      mend: 'Each key/value head serves a whole number of query heads.',
    });
  }
}

/** Sizes of a packed call. Throws where the shape does not fit the numbers of heads. */
export function packedDims(
  op: string,
  shape: readonly number[],
  heads: PackedHeads,
): AttentionDims {
  checkHeads(op, heads);
  const { numHeads, numKvHeads = numHeads } = heads;
  const rows = numHeads + 2 * numKvHeads;
  const fits = {
    3: shape[2]! % rows === 0,
    4: shape[2] === rows,
    5: shape[2] === 3 && shape[3] === numHeads && numKvHeads === numHeads,
  }[shape.length];
  const keyDim = shape.length === 3 ? shape[2]! / rows : shape[shape.length - 1]!;
  if (!fits || keyDim === 0) {
    throw rangeError({
      op,
      argument: 'qkv',
      expected: `${SHAPES}; here H = ${numHeads}, G = ${numKvHeads} and K is at least 1`,
      got: `shape ${describe(shape)}`,
      mend: 'The heads of query come first, then those of key, then those of value.',
    });
  }
  const [batch, length] = shape as [number, number];
  return {
    ...{ batch, queries: length, keys: length },
    ...{ heads: numHeads, kvHeads: numKvHeads, keyDim, valueDim: keyDim },
  };
}
