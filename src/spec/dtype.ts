// SPDX-License-Identifier: Apache-2.0
import type { BFloat16Tensor } from '../bf16/bfloat16_tensor.js';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The two storage types of floating point values. All arithmetic is float32. */
export type FloatDType = 'float32' | 'bfloat16';

/** A value that the ops take: a float32 tensor of tfjs or a bfloat16 one of this package. */
export type FloatTensor = Tensor | BFloat16Tensor;

/** Type of an op's output: the option outputDtype `D` if it was given, else the type of input `X`. */
export type FloatOutput<X extends FloatTensor, D> = D extends 'bfloat16'
  ? BFloat16Tensor
  : D extends 'float32'
    ? Tensor
    : X extends BFloat16Tensor
      ? BFloat16Tensor
      : Tensor;

/** Length in int32 words of `length` bfloat16 values: two to a word, an odd end is padded. */
export function packedLength(length: number): number {
  return Math.ceil(length / 2);
}

/**
 * Shape of the int32 tensor that stores bfloat16 values of the logical `shape`.
 * A scalar is stored as one word, shape [1].
 */
export function packedShape(shape: readonly number[]): number[] {
  if (shape.length === 0) return [1];
  return [...shape.slice(0, -1), packedLength(shape[shape.length - 1]!)];
}
