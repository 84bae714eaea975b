// SPDX-License-Identifier: Apache-2.0
/** Checks that every op makes of its tensors, and the way from a user's tensor to a kernel's. */
import { Tensor } from '@tensorflow/tfjs-core';
import { isBFloat16, usableHandle } from '../bf16/bfloat16_tensor.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { describe, typeError } from '../spec/errors.js';

const CAST = "Convert it with tf.cast(x, 'float32').";

/** How to mend an argument that is no tensor; options given too early are the commonest slip. */
function mendNoTensor(argument: string, x: unknown): string {
  return isPlainObject(x)
    ? `If these are the options, they come last: pass null for ${argument} before them.`
    : 'Make one with tf.tensor(); in a tf.layers model use the layers of this package.';
}

/** Whether `x` can be options: an object that is neither an array nor a tensor. */
export function isPlainObject(x: unknown): x is object {
  const isTensor = x instanceof Tensor || isBFloat16(x);
  return typeof x === 'object' && x !== null && !Array.isArray(x) && !isTensor;
}

/** Throws unless `x` is a live tensor of this package or tfjs, of any dtype. */
export function checkTensor(op: string, argument: string, x: unknown): asserts x is FloatTensor {
  if (!(x instanceof Tensor) && !isBFloat16(x)) {
    throw typeError({
      op,
      argument,
      expected: 'a tensor',
      got: describe(x),
      mend: mendNoTensor(argument, x),
    });
  }
  if (isBFloat16(x)) {
    usableHandle(op, argument, x);
  } else if (x.isDisposed) {
    throw typeError({
      op,
      argument,
      expected: 'a live tensor',
      got: 'a disposed one',
      mend: 'Keep it with tf.keep(), or move the call inside the tf.tidy() that made it.',
    });
  }
}

/** Throws unless `x` is a live float32 or bfloat16 tensor. */
export function checkFloatTensor(
  op: string,
  argument: string,
  x: unknown,
): asserts x is FloatTensor {
  checkTensor(op, argument, x);
  if (x.dtype !== 'float32' && x.dtype !== 'bfloat16') {
    throw typeError({
      op,
      argument,
      expected: 'a float32 or bfloat16 tensor',
      got: `dtype ${x.dtype}`,
      mend: CAST,
    });
  }
}

/** Throws unless `x` is a live float32 tensor. */
export function checkFloat32Tensor(op: string, argument: string, x: unknown): asserts x is Tensor {
  checkTensor(op, argument, x);
  if (x.dtype !== 'float32') {
    throw typeError({
      op,
      argument,
      expected: 'a float32 tensor',
      got: `dtype ${x.dtype}`,
      mend: isBFloat16(x) ? 'Convert it with toFloat32().' : CAST,
    });
  }
}

/** The tensor that kernels take: the tensor itself, or the handle of a bfloat16 one. */
export function handleOf(op: string, argument: string, x: FloatTensor): Tensor {
  return isBFloat16(x) ? usableHandle(op, argument, x) : x;
}

/** dtype of a checked float tensor. */
export function floatDType(x: FloatTensor | undefined): FloatDType {
  return x?.dtype === 'bfloat16' ? 'bfloat16' : 'float32';
}

/** Throws if `options` is no plain object or has a name that the op does not know. */
export function checkOptions(op: string, options: unknown, known: readonly string[]): void {
  if (!isPlainObject(options)) {
    throw typeError({
      op,
      argument: 'options',
      expected: 'an object',
      got: describe(options),
      mend: `The options are ${known.join(', ')}.`,
    });
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw typeError({
      op,
      argument: 'options',
      expected: `made of ${known.join(', ')}`,
      got: `the unknown option '${unknown}'`,
      mend: 'Check its spelling.',
    });
  }
}

/** Throws unless `value` is undefined or one of a few words. */
export function checkChoice(
  op: string,
  argument: string,
  value: unknown,
  choices: readonly string[],
  mend: string,
): void {
  if (value === undefined || choices.includes(value as string)) return;
  const expected = choices.map((choice) => `'${choice}'`).join(' or ');
  throw typeError({ op, argument, expected, got: describe(value), mend });
}

/** Throws unless `dtype` is undefined or one of the two storage types. */
export function checkOutputDType(op: string, dtype: unknown): void {
  const mend = 'Leave it out to get the dtype of the input.';
  checkChoice(op, 'options.outputDtype', dtype, ['float32', 'bfloat16'], mend);
}
