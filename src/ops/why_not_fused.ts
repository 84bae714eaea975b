// SPDX-License-Identifier: Apache-2.0
import { getBackend } from '@tensorflow/tfjs-core';
import type { FloatTensor } from '../spec/dtype.js';
import { describe, typeError } from '../spec/errors.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import { FUSED_OPS, fallbackReasons } from '../spec/support.js';
import type { FusedOp, FusedRequest } from '../spec/support.js';
import { checkFloatTensor, floatDType } from './arguments.js';
import { checkAttentionCall, checkPackedCall } from './attention_call.js';
import type { AttentionOptions, AttnBias, PackedAttentionOptions } from './attention_call.js';
import { fusedRequest } from './memory_efficient_attention.js';

function isFusedOp(op: unknown): op is FusedOp {
  return (FUSED_OPS as readonly unknown[]).includes(op);
}

function request(
  op: FusedOp,
  inputs: readonly FloatTensor[],
  attnBias: AttnBias,
  options: AttentionOptions | (PackedAttentionOptions & PackedHeads),
): FusedRequest {
  if (op === 'memoryEfficientAttentionPacked') {
    const packed = options as PackedAttentionOptions & PackedHeads;
    return fusedRequest(op, checkPackedCall(op, inputs[0], attnBias, packed));
  }
  if (op === 'memoryEfficientAttention' || op === 'memoryEfficientAttentionForward') {
    return fusedRequest(op, checkAttentionCall(op, inputs, attnBias, options));
  }
  checkFloatTensor(op, 'x', inputs[0]);
  return { op, dtype: floatDType(inputs[0]) };
}

/**
 * Why a call would not run as a fused kernel on the current backend. Computes nothing.
 *
 * @param op name of the op, such as 'memoryEfficientAttention' or 'fusedLayerNorm'.
 * @param inputs its tensors in the order of its arguments: [query, key, value], [qkv], or [x, …].
 * @param attnBias of attention, as in the call.
 * @param options of attention, as in the call.
 * @returns each reason in words; empty if a fused kernel will run.
 * @throws TypeError for an unknown op; for attention whatever the call itself would throw.
 * @example
 * whyNotFused('memoryEfficientAttention', [q, k, v]);   // [] on webgpu
 */
export function whyNotFused(
  op: string,
  inputs: readonly FloatTensor[],
  attnBias?: AttnBias,
  options: AttentionOptions | (PackedAttentionOptions & PackedHeads) = {},
): string[] {
  if (!isFusedOp(op)) {
    throw typeError({
      op: 'whyNotFused',
      argument: 'op',
      expected: `one of ${FUSED_OPS.join(', ')}`,
      got: describe(op),
      mend: 'Check its spelling; other ops have no fused kernels.',
    });
  }
  if (!Array.isArray(inputs)) {
    throw typeError({
      op: 'whyNotFused',
      argument: 'inputs',
      expected: 'an array of tensors',
      got: describe(inputs),
      mend: 'Pass for example [query, key, value].',
    });
  }
  return fallbackReasons(getBackend(), request(op, inputs, attnBias, options));
}
