// SPDX-License-Identifier: Apache-2.0
/**
 * The gradients of an attention call from what is known of it. One kernel gives dquery, dkey and dvalue, at
 * once because tfjs frees what a thunk makes beside its result. Those of bias and sink have kernels of
 * their own, which run only when they are asked for.
 */
import { zeros } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import {
  ATTENTION_GRAD_INPUTS,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import { runOptionalInputKernel } from '../ops/run_kernel.js';

/** The inputs that were passed, output and logSumExp. */
export type AttentionResults = Omit<
  AttentionGradInputs<Tensor>,
  'key' | 'value' | 'doutput' | 'dlogSumExp'
> &
  Partial<Pick<AttentionGradInputs<Tensor>, 'key' | 'value'>>;

/**
 * @param dys gradients of output and logSumExp.
 * @param withResults hands what is known of the call to a function, and returns what that makes.
 * @returns a thunk for each input, by its place among those that are present.
 */
export function attentionGradients(
  dys: Tensor[],
  attrs: AttentionAttrs,
  withResults: (use: (results: AttentionResults) => Tensor[]) => Tensor[],
): Record<string, () => Tensor> {
  const [doutput, dlogSumExp] = dys as [Tensor, Tensor];
  const run = (kernel: string) =>
    withResults((results) =>
      runOptionalInputKernel(
        kernel,
        ATTENTION_GRAD_INPUTS,
        {
          ...results,
          doutput,
          // Where the caller never saw logSumExp, this is a tensor of zeros that tfjs made.
          dlogSumExp: attrs.returnsLogSumExp ? dlogSumExp : undefined,
        },
        attrs,
      ),
    );
  const zeroBias = () => withResults(({ bias }) => [zeros(bias!.shape)]);
  const operands = run(MemoryEfficientAttentionGrad);
  const others: Record<string, () => Tensor> = {
    bias: () =>
      (attrs.biasKind === 'bool' ? zeroBias() : run(MemoryEfficientAttentionBiasGrad))[0]!,
    sink: () => run(MemoryEfficientAttentionSinkGrad)[0]!,
  };
  return Object.fromEntries(
    attrs.present.map((name, place) => [place, others[name] ?? (() => operands[place]!)]),
  );
}
