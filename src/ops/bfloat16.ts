// SPDX-License-Identifier: Apache-2.0
import { tensor, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Tensor, isBFloat16 } from '../bf16/bfloat16_tensor.js';
import { widenBits } from '../bf16/rounding.js';
import { BFloat16Pack } from '../kernel_names.js';
import type { FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { checkShape, sizeOf } from '../spec/shape.js';
import { checkFloatTensor, handleOf } from './arguments.js';
import { runKernel } from './run_kernel.js';

/**
 * Rounds float32 values to the nearest bfloat16, ties to even.
 *
 * NaN stays NaN, infinities and signed zeros are kept, finite values above the largest bfloat16
 * become infinite. Differentiable: the gradient passes through as float32. A bfloat16 tensor is
 * cloned.
 *
 * @param x float32 (or bfloat16) tensor of any shape.
 * @returns a BFloat16Tensor of the same shape, in half the memory on webgpu, tensorflow and cpu.
 * @throws TypeError if `x` is no float tensor or disposed.
 * @example
 * const half = toBFloat16(tf.randomNormal([2, 128, 4, 64]));
 */
export function toBFloat16(x: FloatTensor): BFloat16Tensor {
  checkFloatTensor('toBFloat16', 'x', x);
  if (isBFloat16(x)) return x.clone();
  return new BFloat16Tensor(runKernel(BFloat16Pack, { x }));
}

/**
 * Widens bfloat16 values to float32; exact. Differentiable. A float32 tensor is cloned.
 *
 * @param x bfloat16 or float32 tensor of any shape.
 * @returns a float32 tensor of the same shape.
 * @throws TypeError if `x` is no float tensor or disposed.
 * @example
 * const wide = toFloat32(half);
 */
export function toFloat32(x: FloatTensor): Tensor {
  checkFloatTensor('toFloat32', 'x', x);
  return isBFloat16(x) ? x.toFloat32() : handleOf('toFloat32', 'x', x).clone();
}

/**
 * Makes a bfloat16 tensor from its 16-bit patterns.
 *
 * @param bits the values' upper 16 float32 bits, row-major, as many as `shape` has elements.
 * @param shape the shape of the result.
 * @throws TypeError if `bits` is no Uint16Array; RangeError if the number of values is wrong.
 * @example
 * const ones = fromBFloat16Bits(new Uint16Array([0x3f80, 0x3f80]), [2]);
 */
export function fromBFloat16Bits(bits: Uint16Array, shape: number[]): BFloat16Tensor {
  const op = 'fromBFloat16Bits';
  if (!(bits instanceof Uint16Array)) {
    throw typeError({
      op,
      argument: 'bits',
      expected: 'a Uint16Array',
      got: describe(bits),
      mend: 'Make one with new Uint16Array(values), or use toBFloat16(tf.tensor(values)) for numbers.',
    });
  }
  checkShape(op, 'shape', shape);
  if (bits.length !== sizeOf(shape)) {
    throw rangeError({
      op,
      argument: 'bits',
      expected: `${sizeOf(shape)} values for shape [${shape.join(', ')}]`,
      got: `${bits.length}`,
      mend: 'Pass the values without padding.',
    });
  }
  return tidy(
    () => new BFloat16Tensor(runKernel(BFloat16Pack, { x: tensor(widenBits(bits), shape) })),
  );
}
