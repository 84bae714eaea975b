// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient of MemoryEfficientAttention. Saved are the inputs, the output and logSumExp; the weights are
 * computed again. ops/attend.ts has the one that saves less.
 */
import { registerGradient } from '@tensorflow/tfjs-core';
import type { GradConfig, Tensor } from '@tensorflow/tfjs-core';
import { MemoryEfficientAttention, unpackInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import { attentionGradients } from './attention_gradients.js';

const attentionGradient: GradConfig = {
  kernelName: MemoryEfficientAttention,
  saveAllInputs: true,
  outputsToSave: [true, true],
  gradFunc: (dys, saved, attrs) => {
    const attention = attrs as unknown as AttentionAttrs;
    const { present } = attention;
    const inputs = unpackInputs<AttentionInputs<Tensor>>(present, saved);
    const [output, logSumExp] = saved.slice(present.length) as [Tensor, Tensor];
    return attentionGradients(dys as Tensor[], attention, (use) =>
      use({ ...inputs, output, logSumExp }),
    );
  },
};

/** Makes memoryEfficientAttention and memoryEfficientAttentionForward differentiable. */
export function registerAttentionGradient(): void {
  registerGradient(attentionGradient);
}
