// SPDX-License-Identifier: Apache-2.0
/** Registers the kernels in plain tfjs ops on the backends that have no others, unless a native one takes their place. */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc } from '@tensorflow/tfjs-core';
import {
  FusedNorm,
  FusedNormGrad,
  MemoryEfficientAttention,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../kernel_names.js';
import { registerPortableAppendRows } from './append_rows.js';
import { portableAttentionGrad } from './attention_backward.js';
import { portableAttentionBiasGrad, portableAttentionSinkGrad } from './attention_bias_grad.js';
import { portableAttention } from './attention_forward.js';
import { registerPortableBFloat16 } from './bfloat16.js';
import { portableFusedNorm, portableFusedNormGrad } from './fused_norm.js';

const BACKENDS = ['cpu', 'wasm', 'webgl', 'tensorflow'] as const;

/** The same for every backend; those that know how a backend stores its values have tables of their own. */
const KERNELS: readonly [string, KernelFunc][] = [
  [FusedNorm, portableFusedNorm],
  [FusedNormGrad, portableFusedNormGrad],
  [MemoryEfficientAttention, portableAttention],
  [MemoryEfficientAttentionGrad, portableAttentionGrad],
  [MemoryEfficientAttentionBiasGrad, portableAttentionBiasGrad],
  [MemoryEfficientAttentionSinkGrad, portableAttentionSinkGrad],
];

export function registerPortableKernels(): void {
  registerPortableBFloat16();
  registerPortableAppendRows();
  for (const [kernelName, kernelFunc] of KERNELS) {
    for (const backendName of BACKENDS) registerKernel({ kernelName, backendName, kernelFunc });
  }
}
