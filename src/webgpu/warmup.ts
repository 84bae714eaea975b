// SPDX-License-Identifier: Apache-2.0
import { getBackend } from '@tensorflow/tfjs-core';
import { isAttentionBias } from '../attn_bias/base.js';
import { isBFloat16 } from '../bf16/bfloat16_tensor.js';
import { toBFloat16, toFloat32 } from '../ops/bfloat16.js';
import { fusedAddLayerNorm, fusedAddRMSNorm } from '../ops/fused_add_norm.js';
import { fusedLayerNorm, fusedRMSNorm } from '../ops/fused_norm.js';
import {
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
} from '../ops/memory_efficient_attention.js';
import { whyNotFused } from '../ops/why_not_fused.js';
import { webgpuPart } from './loading.js';
import { ready } from './ready.js';
import { OP, checkSpecs } from './warmup_spec.js';
import type { WarmupSpec } from './warmup_spec.js';

/** What the WebGPU part calls of the entry, to see which programs a call needs. */
export const OPS = {
  isAttentionBias,
  isBFloat16,
  toBFloat16,
  toFloat32,
  fusedLayerNorm,
  fusedRMSNorm,
  fusedAddLayerNorm,
  fusedAddRMSNorm,
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
  whyNotFused,
};
export type Ops = typeof OPS;

/**
 * Compiles the shaders of the given calls ahead of their first use, without blocking: for the time
 * while a page or its data loads. Lengths, batch sizes and scales are run-time values, so one spec
 * stands for all of them; head dims, dtypes, the kind of mask and options that are on or off count.
 * Few queries of many keys, as in decoding, have programs of their own: give them a spec of their own.
 * On other backends than `webgpu` there is nothing to compile, and it resolves at once.
 *
 * @param specs the calls to come, as WarmupSpec describes them: the op, shapes instead of tensors,
 *   and what else is passed. With `gradient: true` the backward pass is compiled as well; a bias or
 *   sink that is a tf.Variable has its gradient compiled too.
 * @returns resolves when all are compiled. A call that no fused kernel takes compiles nothing.
 * @throws (as a rejection) TypeError or RangeError for a spec that is no such object, and on
 *   `webgpu` whatever the call itself would throw.
 * @example
 * await warmup([
 *   { op: 'fusedLayerNorm', shapes: [[512, 384], [384], [384]], gradient: true },
 *   { op: 'memoryEfficientAttention', shapes: [[1, 512, 6, 64]], dtype: 'bfloat16',
 *     attnBias: new attnBias.LowerTriangularMask(), gradient: true },
 * ]);
 */
export async function warmup(specs: readonly WarmupSpec[]): Promise<void> {
  checkSpecs(specs, OP);
  await ready();
  if (getBackend() !== 'webgpu') return;
  const { compileCalls } = await webgpuPart(OP);
  await compileCalls(OPS, specs);
}
