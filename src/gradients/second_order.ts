// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of gradients do not exist: the backward kernels save nothing that theirs would need. tfjs
 * would say so of a kernel that no user knows by name; this says it of the op.
 */
import { registerGradient } from '@tensorflow/tfjs-core';
import {
  FusedNormGrad,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../kernel_names.js';
import { rangeError } from '../spec/errors.js';

const NORMS = 'fused norms';
const ATTENTION = 'memoryEfficientAttention';

const OPS: readonly [kernelName: string, op: string][] = [
  [FusedNormGrad, NORMS],
  [MemoryEfficientAttentionGrad, ATTENTION],
  [MemoryEfficientAttentionBiasGrad, ATTENTION],
  [MemoryEfficientAttentionSinkGrad, ATTENTION],
];

/** Makes a gradient through a backward kernel an error that says what is not there. */
export function registerSecondOrderErrors(): void {
  for (const [kernelName, op] of OPS) {
    registerGradient({
      kernelName,
      gradFunc: () => {
        throw rangeError({
          op,
          argument: 'the order of a gradient',
          expected: '1',
          got: 'a gradient of a gradient',
          mend: 'Write this op in plain tfjs ops where you need second-order gradients.',
        });
      },
    });
  }
}
