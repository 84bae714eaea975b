// SPDX-License-Identifier: Apache-2.0
/**
 * Storage conversions are straight-through: d round(x) / dx is taken as 1, as every mixed precision
 * framework does, so the float32 gradient passes unchanged.
 */
import { registerGradient, reshape } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BFloat16ReshapeAttrs } from '../kernel_names.js';
import { BFloat16Pack, BFloat16Reshape, BFloat16Unpack } from '../kernel_names.js';

export function registerBFloat16Gradients(): void {
  for (const kernelName of [BFloat16Pack, BFloat16Unpack]) {
    registerGradient({ kernelName, gradFunc: (dy) => ({ x: () => (dy as Tensor).clone() }) });
  }
  registerGradient({
    kernelName: BFloat16Reshape,
    gradFunc: (dy, _saved, attrs) => ({
      x: () => reshape(dy as Tensor, (attrs as unknown as BFloat16ReshapeAttrs).xShape),
    }),
  });
}
