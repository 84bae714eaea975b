// SPDX-License-Identifier: Apache-2.0
import { tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { FloatDType, FloatOutput, FloatTensor } from '../spec/dtype.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import type { FusedOp, FusedRequest } from '../spec/support.js';
import { attend } from './attend.js';
import { checkAttentionCall, checkPackedCall } from './attention_call.js';
import type {
  AttentionCall,
  AttentionOptions,
  AttnBias,
  PackedAttentionOptions,
} from './attention_call.js';
import { noteFallback } from './fallback.js';

/** What decides whether this call can be fused. */
export function fusedRequest(op: FusedOp, { dims, attrs }: AttentionCall): FusedRequest {
  return { op, dtype: attrs.dtype, keyDim: dims.keyDim, valueDim: dims.valueDim };
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
 * Layouts: [B, M, H, K], or [B, H, M, K] with `options.layout` 'BHMK'; [B, M, K] for one head;
 * [B, M, G, H/G, K] for grouped heads. Key and value may have fewer heads than query (G divides H): query head h then reads head floor(h / (H/G)).
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
 * @returns [B, Mq, H, V], of the layout of query, and of its dtype or that of `options.outputDtype`.
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

/**
 * memoryEfficientAttention of one tensor that holds query, key and value, as one projection makes them:
 * self-attention without splitting it. On `webgpu` nothing is copied, forward or backward: the kernels
 * read the heads where they lie and write one gradient of the tensor's shape.
 *
 * @param qkv [B, M, (H + 2 G) * K], [B, M, H + 2 G, K] or, if G = H, [B, M, 3, H, K]; along the axis of the
 *   heads first those of query, then of key, then of value. float32 or bfloat16 (an odd K: not the first form,
 *   whose pairs of values would have to be repacked).
 * @param attnBias as in memoryEfficientAttention.
 * @param options `numHeads` (H), `numKvHeads` (G; default H), and those of memoryEfficientAttention but
 *   for `layout`.
 * @returns [B, M, H * K] for the first form, else [B, M, H, K].
 * @throws as memoryEfficientAttention.
 * @example
 * const qkv = tf.matMul(x, wqkv);   // [B, M, C] -> [B, M, 3 * H * K]
 * const output = memoryEfficientAttentionPacked(qkv, causal, { numHeads: 8 });   // [B, M, H * K]
 */
export function memoryEfficientAttentionPacked<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(qkv: X, attnBias: AttnBias, options: PackedAttentionOptions<D> & PackedHeads): FloatOutput<X, D> {
  const op = 'memoryEfficientAttentionPacked';
  const call = checkPackedCall(op, qkv, attnBias, options);
  noteFallback(fusedRequest(op, call), options.requireFused);
  return tidy(() => attend(call, false)[0]) as FloatOutput<X, D>;
}
