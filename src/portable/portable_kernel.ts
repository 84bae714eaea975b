// SPDX-License-Identifier: Apache-2.0
/** Kernels written in plain tfjs ops: the same function serves every backend that tfjs has. */
import { getKernel, registerKernel, tidy } from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Pack, BFloat16Unpack } from '../kernel_names.js';
import { runKernel } from '../ops/run_kernel.js';
import type { FloatDType } from '../spec/dtype.js';

/** Backends whose kernels are the portable ones, unless a native one takes their place. */
export const PORTABLE_BACKENDS = ['cpu', 'wasm', 'webgl', 'tensorflow'] as const;

/**
 * What a portable kernel computes. `I` is a named map such as {x: Tensor}, or Tensor[] for kernels
 * with optional inputs (unpackInputs names them). It returns new tensors, never an input itself, in
 * the kernel's order; all others it makes are disposed for it.
 */
export type PortableFunction<I, A> = (inputs: I, attrs: A) => Tensor | Tensor[];

/**
 * Registers `compute` as kernel `name` on every portable backend.
 *
 * @returns the registered function, for the kernels of other backends that fall back to it.
 * @example
 * export const portablePack = definePortableKernel(BFloat16Pack, ({ x }: { x: Tensor }) => …);
 */
export function definePortableKernel<I, A>(
  name: string,
  compute: PortableFunction<I, A>,
): KernelFunc {
  const kernelFunc: KernelFunc = ({ inputs, attrs }) =>
    tidy(() => compute(inputs as unknown as I, attrs as unknown as A));
  for (const backendName of PORTABLE_BACKENDS) {
    // A second copy of this package would only make tfjs warn.
    if (getKernel(name, backendName)) continue;
    registerKernel({ kernelName: name, backendName, kernelFunc });
  }
  return kernelFunc;
}

/** An input in float32: unpacked if it is a handle, itself if it is not. */
export function widen(x: Tensor, dtype: FloatDType): Tensor {
  return dtype === 'bfloat16' ? runKernel(BFloat16Unpack, { x }) : x;
}

/** A float32 result in the dtype of the output: rounded to a new handle, or itself. */
export function narrow(x: Tensor, dtype: FloatDType): Tensor {
  return dtype === 'bfloat16' ? runKernel(BFloat16Pack, { x }) : x;
}
