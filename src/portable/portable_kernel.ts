// SPDX-License-Identifier: Apache-2.0
/** Kernels written in plain tfjs ops: the same function serves every backend that tfjs has. */
import { tidy } from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Pack, BFloat16Unpack } from '../kernel_names.js';
import { runKernel } from '../ops/run_kernel.js';
import type { FloatDType } from '../spec/dtype.js';

/**
 * What a portable kernel computes. `I` is a named map such as {x: Tensor}, or Tensor[] for kernels
 * with optional inputs (unpackInputs names them). It returns new tensors, never an input itself, in
 * the kernel's order; all others it makes are disposed for it.
 */
export type PortableFunction<I, A> = (inputs: I, attrs: A) => Tensor | Tensor[];

/**
 * `compute` as tfjs calls a kernel. portable/register.ts registers it; kernels of other backends
 * fall back to it.
 *
 * @example
 * export const portablePack = portableKernel(({ x }: { x: Tensor }) => …);
 */
export function portableKernel<I, A>(compute: PortableFunction<I, A>): KernelFunc {
  return ({ inputs, attrs }) => tidy(() => compute(inputs as unknown as I, attrs as unknown as A));
}

/** An input in float32: unpacked if it is a handle, itself if it is not. */
export function widen(x: Tensor, dtype: FloatDType): Tensor {
  return dtype === 'bfloat16' ? runKernel(BFloat16Unpack, { x }) : x;
}

/** A float32 result in the dtype of the output: rounded to a new handle, or itself. */
export function narrow(x: Tensor, dtype: FloatDType): Tensor {
  return dtype === 'bfloat16' ? runKernel(BFloat16Pack, { x }) : x;
}
