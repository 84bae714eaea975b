// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient of MemoryEfficientAttention.
 *
 * Saved are the inputs, the output and logSumExp; the weights are computed again. One kernel gives
 * dquery, dkey and dvalue, at once because tfjs frees what a thunk makes beside its result. The
 * gradients of bias and sink have kernels of their own, which run only when they are asked for.
 */
import { registerGradient, zeros } from '@tensorflow/tfjs-core';
import type { GradConfig, Tensor } from '@tensorflow/tfjs-core';
import {
  ATTENTION_GRAD_INPUTS,
  MemoryEfficientAttention,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
  unpackInputs,
} from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs, AttentionInputs } from '../kernel_names.js';
import { runOptionalInputKernel } from '../ops/run_kernel.js';

const attentionGradient: GradConfig = {
  kernelName: MemoryEfficientAttention,
  saveAllInputs: true,
  outputsToSave: [true, true],
  gradFunc: (dys, saved, attrs) => {
    const attention = attrs as unknown as AttentionAttrs;
    const { present, biasKind, returnsLogSumExp } = attention;
    const [doutput, dlogSumExp] = dys as [Tensor, Tensor];
    const inputs = unpackInputs<AttentionInputs<Tensor>>(present, saved);
    const [output, logSumExp] = saved.slice(present.length) as [Tensor, Tensor];
    const gradInputs: AttentionGradInputs<Tensor> = {
      ...inputs,
      doutput,
      output,
      logSumExp,
      // Where the caller never saw logSumExp, this is a tensor of zeros that tfjs made.
      dlogSumExp: returnsLogSumExp ? dlogSumExp : undefined,
    };
    const run = (kernel: string) =>
      runOptionalInputKernel(kernel, ATTENTION_GRAD_INPUTS, gradInputs, attention);
    const [dquery, dkey, dvalue] = run(MemoryEfficientAttentionGrad) as [Tensor, Tensor, Tensor];
    const gradients: AttentionInputs<() => Tensor> = {
      query: () => dquery,
      key: () => dkey,
      value: () => dvalue,
      bias: () =>
        biasKind === 'bool' ? zeros(inputs.bias!.shape) : run(MemoryEfficientAttentionBiasGrad)[0]!,
      sink: () => run(MemoryEfficientAttentionSinkGrad)[0]!,
    };
    return Object.fromEntries(
      present.map((name, index) => [index, gradients[name as keyof typeof gradients]!]),
    );
  },
};

/** Makes memoryEfficientAttention and memoryEfficientAttentionForward differentiable. */
export function registerAttentionGradient(): void {
  registerGradient(attentionGradient);
}
