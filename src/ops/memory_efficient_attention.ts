// SPDX-License-Identifier: Apache-2.0
import { engine, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { ATTENTION_INPUTS, BFloat16Pack, MemoryEfficientAttention } from '../kernel_names.js';
import type { FloatDType, FloatOutput, FloatTensor } from '../spec/dtype.js';
import type { FusedOp, FusedRequest } from '../spec/support.js';
import { checkAttentionCall, kernelInputs, userOutput } from './attention_call.js';
import type { AttentionCall, AttentionOptions, AttnBias } from './attention_call.js';
import { noteFallback } from './fallback.js';
import { runKernel, runOptionalInputKernel } from './run_kernel.js';

/** What decides whether this call can be fused. */
export function fusedRequest(op: FusedOp, { dims, attrs }: AttentionCall): FusedRequest {
  return { op, dtype: attrs.dtype, keyDim: dims.keyDim, valueDim: dims.valueDim };
}

/**
 * Runs the kernel: output as the user sees it, and logSumExp. Call it in a tf.tidy.
 *
 * While a gradient is recorded a bfloat16 output is rounded after the kernel, so that the float32
 * one is saved: dS = P ∘ (dP - rowsum(dO ∘ O)) cancels where few keys are visible, and a rounded O
 * would leave an error there as large as the gradient.
 */
function attend(call: AttentionCall, returnsLogSumExp: boolean): [FloatTensor, Tensor] {
  const roundsAfter = call.attrs.outputDtype === 'bfloat16' && engine().state.gradientDepth > 0;
  const outputDtype = roundsAfter ? 'float32' : call.attrs.outputDtype;
  const [output, logSumExp] = runOptionalInputKernel(
    MemoryEfficientAttention,
    ATTENTION_INPUTS,
    kernelInputs(call),
    { ...call.attrs, outputDtype, returnsLogSumExp },
  ) as [Tensor, Tensor];
  const stored = roundsAfter ? runKernel(BFloat16Pack, { x: output }) : output;
  return [userOutput(call, stored), logSumExp];
}

function checked(
  op: FusedOp,
  operands: readonly FloatTensor[],
  attnBias: AttnBias,
  options: AttentionOptions,
): AttentionCall {
  const call = checkAttentionCall(op, operands, attnBias, options);
  noteFallback(fusedRequest(op, call), options.requireFused);
  return call;
}

/**
 * Exact attention in linear memory: `softmax(scale * query keyᵀ + bias) value`, without an Mq x Mk
 * array, forward or backward.
 *
 * Layouts: [B, M, H, K]; [B, M, K] for one head; [B, M, G, H/G, K] for grouped heads. Key and value
 * may have fewer heads than query (G divides H): query head h then reads head floor(h / (H/G)).
 * All three are float32 or all three bfloat16; scores, softmax and sums are float32.
 * Differentiable in query, key, value, a float bias and `sink`.
 *
 * A query that may attend no key gets 0. Keys that it may not attend do not reach its output, not
 * even as NaN.
 *
 * @param query [B, Mq, H, K].
 * @param key [B, Mk, G, K].
 * @param value [B, Mk, G, V].
 * @param attnBias null, an `attnBias.*` object, a float32 tensor that is added to the scaled scores,
 *   or a bool one (true = may attend); tensors are broadcastable to [B, H, Mq, Mk].
 * @param options see AttentionOptions.
 * @returns [B, Mq, H, V], of the dtype of the inputs or of `options.outputDtype`.
 * @throws TypeError for dtypes that differ, a tensor that is disposed, an unknown option; RangeError
 *   for shapes, numbers or mask lengths that do not fit.
 * @example
 * const causal = new attnBias.LowerTriangularMask();
 * const output = memoryEfficientAttention(q, k, v, causal, { p: training ? 0.1 : 0 });
 */
export function memoryEfficientAttention<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(
  query: X,
  key: FloatTensor,
  value: FloatTensor,
  attnBias?: AttnBias,
  options: AttentionOptions<D> = {},
): FloatOutput<X, D> {
  const call = checked('memoryEfficientAttention', [query, key, value], attnBias, options);
  return tidy(() => attend(call, false)[0]) as FloatOutput<X, D>;
}

/**
 * As memoryEfficientAttention, and returns the logarithm of each softmax denominator as well:
 * what mergeAttentions needs to join parts of the keys. Differentiable through both.
 *
 * @returns `output` as in memoryEfficientAttention, and `logSumExp` float32 [B, H, Mq] (H = 1 for
 *   rank 3), -Infinity for a query that may attend no key.
 * @throws as memoryEfficientAttention.
 * @example
 * const { output, logSumExp } = memoryEfficientAttentionForward(q, k, v);
 */
export function memoryEfficientAttentionForward<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(
  query: X,
  key: FloatTensor,
  value: FloatTensor,
  attnBias?: AttnBias,
  options: AttentionOptions<D> = {},
): { output: FloatOutput<X, D>; logSumExp: Tensor } {
  const call = checked('memoryEfficientAttentionForward', [query, key, value], attnBias, options);
  return tidy(() => {
    const [output, logSumExp] = attend(call, true);
    return { output: output as FloatOutput<X, D>, logSumExp };
  });
}
