// SPDX-License-Identifier: Apache-2.0
/**
 * The kernels in tfjs ops, for calls that no program takes. They are looked up where they are registered,
 * not imported: they belong to the entry, and bundlers make a file more of what two files import.
 */
import { getKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc } from '@tensorflow/tfjs-core';
import {
  FusedNorm,
  FusedNormGrad,
  MemoryEfficientAttention,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../../kernel_names.js';

/** The same function serves every backend that has no kernel of its own, as `cpu`. */
function portable(kernelName: string): KernelFunc {
  return (call) => getKernel(kernelName, 'cpu').kernelFunc(call);
}

export const portableFusedNorm = portable(FusedNorm);
export const portableFusedNormGrad = portable(FusedNormGrad);
export const portableAttention = portable(MemoryEfficientAttention);
export const portableAttentionGrad = portable(MemoryEfficientAttentionGrad);
export const portableAttentionBiasGrad = portable(MemoryEfficientAttentionBiasGrad);
export const portableAttentionSinkGrad = portable(MemoryEfficientAttentionSinkGrad);
