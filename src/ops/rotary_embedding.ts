// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { FloatDType, FloatOutput, FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { ROTARY_RULES, rotaryDim, rotaryRules } from '../spec/rotary.js';
import type { RotaryRule, RotaryRules } from '../spec/rotary.js';
import { checkFloatTensor, checkOptions, checkOutputDType } from './arguments.js';
import { toBFloat16, toFloat32 } from './bfloat16.js';
import { rotaryTables } from './rotary_tables.js';
import type { RotaryPositions, RotaryTables } from './rotary_tables.js';

export interface RotaryEmbeddingOptions<
  D extends FloatDType | undefined = FloatDType | undefined,
> extends RotaryRule {
  /** Position of the first row; those after it follow. 0. */
  offset?: number | undefined;
  /** Position of each row instead, [M] or [B][M]; whole or not, also below 0. */
  positions?: readonly number[] | readonly (readonly number[])[] | undefined;
  /** dtype of the output; that of x. */
  outputDtype?: D;
}

const OP = 'rotaryEmbedding';
const OPTIONS = ['offset', 'positions', 'outputDtype', ...ROTARY_RULES];

/**
 * Rotary position embedding: turns pairs of channels of queries or keys by an angle that grows with
 * their position, so that scores depend on distances. Differentiable; arithmetic is float32, on angles
 * that are float64.
 *
 * @param x float32 or bfloat16, [B, M, H, K], or [B, M, K] for one head.
 * @param options `offset` (0) or `positions`; `base` (10000), `dim` (K: how many channels turn),
 *   `interleaved` (false: the pairs lie dim/2 apart, as in Llama, Qwen and Gemma) and `scaling` ('linear',
 *   'llama3' or 'yarn', as in transformers); `outputDtype` (that of x).
 * @returns a tensor of x's shape.
 * @throws TypeError for no float tensor, positions that are no numbers, or an unknown option; RangeError
 *   for another rank, numbers out of range, or positions that are not as many as rows.
 * @example
 * const rotated = rotaryEmbedding(tf.randomNormal([1, 128, 4, 64]), { base: 1e6 });
 */
export function rotaryEmbedding<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(x: X, options: RotaryEmbeddingOptions<D> = {}): FloatOutput<X, D> {
  checkOptions(OP, options, OPTIONS);
  checkFloatTensor(OP, 'x', x);
  checkOutputDType(OP, options.outputDtype);
  if (x.rank !== 3 && x.rank !== 4) {
    throw rangeError({
      op: OP,
      argument: 'x',
      expected: 'of rank 4, [B, M, H, K], or 3, [B, M, K]',
      got: `shape ${describe(x.shape)}`,
      mend: 'Split the heads with tf.reshape().',
    });
  }
  const rules = rotaryRules(OP, 'options.', options);
  rotaryDim(OP, 'options.', rules, x.shape[x.rank - 1]!);
  const [batch, rows] = x.shape as [number, number];
  const positions = positionsOf(options, batch, rows);
  const dtype = options.outputDtype ?? x.dtype;
  return tf.tidy(() => {
    const tables = rotaryTables(rules, x.shape[x.rank - 1]!, positions, rows);
    const rotated = rotate(toFloat32(x), rules, tables);
    return dtype === 'bfloat16' ? toBFloat16(rotated) : rotated;
  }) as FloatOutput<X, D>;
}

/** `rotaryEmbedding` of a float32 tensor of rank 3 or 4, all checked, by the tables of its rows. Call it in a tf.tidy. */
export function rotate(x: Tensor, rules: RotaryRules, tables: RotaryTables): Tensor {
  if (x.size === 0) return x.clone();
  const shape = x.shape;
  const width = shape[shape.length - 1]!;
  const dim = rules.dim ?? width;
  const [batch, rows] = shape as [number, number];
  const heads = shape.length === 4 ? shape[2]! : 1;
  const wide = tf.reshape(x, [batch, rows, heads, width]);
  const turning = dim === width ? wide : tf.slice(wide, [0, 0, 0, 0], [-1, -1, -1, dim]);
  const turned = turn(turning, tables.cos, tables.sin, rules.interleaved);
  if (dim === width) return tf.reshape(turned, shape);
  return tf.reshape(tf.concat([turned, tf.slice(wide, [0, 0, 0, dim])], 3), shape);
}

/** The other channel of each pair: of x [B, M, H, dim], seen as pairs, the axis that counts in a pair reversed. */
function partners(x: Tensor, interleaved: boolean): Tensor {
  const dim = x.shape[3]!;
  const rows = x.size / dim;
  const pairs = interleaved ? [rows * (dim / 2), 2] : [rows, 2, dim / 2];
  return tf.reshape(tf.reverse(tf.reshape(x, pairs), 1), x.shape);
}

/** Its gradient turns back: the same with sin negated. */
function turn(x: Tensor, cos: Tensor, sin: Tensor, interleaved: boolean): Tensor {
  const forward = (from: Tensor, sine: Tensor) =>
    tf.add(tf.mul(from, cos), tf.mul(partners(from, interleaved), sine));
  const op = tf.customGrad((from, save) => {
    (save as tf.GradSaveFunc)([cos, sin]);
    const gradFunc = (dy: Tensor, [savedCos, savedSin]: Tensor[]) =>
      tf.add(tf.mul(dy, savedCos!), tf.mul(partners(dy, interleaved), tf.neg(savedSin!)));
    return { value: forward(from as Tensor, sin), gradFunc };
  });
  return op(x);
}

function positionsOf(
  { offset, positions }: RotaryEmbeddingOptions,
  batch: number,
  rows: number,
): RotaryPositions {
  if (positions === undefined) {
    checkPosition('options.offset', offset ?? 0);
    return { offset: offset ?? 0 };
  }
  if (offset !== undefined) {
    throw rangeError({
      op: OP,
      argument: 'options.offset',
      expected: 'left out with positions',
      got: describe(offset),
      mend: 'Add it to the positions.',
    });
  }
  return checkPositions(OP, 'options.positions', positions, batch, rows);
}

/** The positions, if they are numbers for `rows` rows, of each of `batch` items or of all. */
export function checkPositions(
  op: string,
  argument: string,
  positions: unknown,
  batch: number,
  rows: number,
): readonly number[] | readonly (readonly number[])[] {
  const isNested = Array.isArray(positions) && Array.isArray(positions[0]);
  const lists = (isNested ? positions : [positions]) as unknown[];
  const isList = (list: unknown) =>
    Array.isArray(list) && list.every((position) => Number.isFinite(position));
  if (!lists.every(isList)) {
    throw typeError({
      op,
      argument,
      expected: 'an array of finite numbers, or one for each batch item',
      got: describe(positions),
      mend: 'Positions are JavaScript numbers, so that no op waits for the GPU: await tensor.array() gives them.',
    });
  }
  const counts = (lists as number[][]).map((list) => list.length);
  if (counts.some((count) => count !== rows) || (isNested && lists.length !== batch)) {
    throw rangeError({
      op,
      argument,
      expected: `of ${rows} numbers, one for each row${isNested ? `, in ${batch} lists` : ''}`,
      got: `${isNested ? `${lists.length} lists of ` : ''}${describe([...new Set(counts)])}`,
      mend: 'Leave it out to count from offset.',
    });
  }
  return positions as readonly number[];
}

function checkPosition(argument: string, offset: unknown): void {
  if (!Number.isFinite(offset)) {
    throw typeError({
      op: OP,
      argument,
      expected: 'a finite number',
      got: describe(offset),
      mend: 'It is the position of the first row.',
    });
  }
}
