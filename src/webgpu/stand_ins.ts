// SPDX-License-Identifier: Apache-2.0
/**
 * Kernels for `webgpu` while its own are not loaded: those of other backends, which must be registered.
 *
 * They store bfloat16 as the WGSL kernels do, so tensors that they made are of use afterwards. Packing
 * reads values back from the GPU, as only a browser can.
 */
import { getKernel, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import {
  AppendRows,
  BFloat16Bits,
  BFloat16Pack,
  BFloat16Reshape,
  BFloat16Unpack,
  FusedNorm,
  FusedNormGrad,
  MemoryEfficientAttention,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../kernel_names.js';

/** Each kernel, and the backend whose kernel serves `webgpu` as well. */
const STAND_INS: readonly [kernelName: string, of: string][] = [
  [BFloat16Pack, 'cpu'],
  [BFloat16Unpack, 'cpu'],
  [BFloat16Bits, 'cpu'],
  [BFloat16Reshape, 'cpu'],
  [AppendRows, 'tensorflow'],
  [FusedNorm, 'cpu'],
  [FusedNormGrad, 'cpu'],
  [MemoryEfficientAttention, 'cpu'],
  [MemoryEfficientAttentionGrad, 'cpu'],
  [MemoryEfficientAttentionBiasGrad, 'cpu'],
  [MemoryEfficientAttentionSinkGrad, 'cpu'],
];

export function registerStandIns(): void {
  for (const [kernelName, of] of STAND_INS) {
    // Another copy of this package may have been first.
    if (getKernel(kernelName, 'webgpu')) continue;
    const { kernelFunc } = getKernel(kernelName, of);
    registerKernel({ kernelName, backendName: 'webgpu', kernelFunc });
  }
}

/** Whether `webgpu` has kernels of another backend, by this copy of the package or another. */
export function areStandInsServing(): boolean {
  const [kernel, other] = ['webgpu', 'cpu'].map((backend) => getKernel(FusedNorm, backend));
  return kernel !== undefined && kernel.kernelFunc === other?.kernelFunc;
}

/** Makes room for the kernels of `webgpu` itself: tfjs warns of a second registration. */
export function removeStandIns(): void {
  for (const [kernelName] of STAND_INS) {
    if (getKernel(kernelName, 'webgpu')) unregisterKernel(kernelName, 'webgpu');
  }
}
