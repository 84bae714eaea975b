// SPDX-License-Identifier: Apache-2.0
/** The public names of the main entry. */
export * as attnBias from './attn_bias/index.js';
export * as layers from './layers/index.js';
export { useFusedLayers } from './layers/use_fused_layers.js';
export { BFloat16Tensor, isBFloat16 } from './bf16/bfloat16_tensor.js';
export { fromBFloat16Bits, toBFloat16, toFloat32 } from './ops/bfloat16.js';
export type { AddNormResult } from './ops/fused_add_norm.js';
export { fusedAddLayerNorm, fusedAddRMSNorm } from './ops/fused_add_norm.js';
export { fusedLayerNorm, fusedRMSNorm } from './ops/fused_norm.js';
export {
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
} from './ops/memory_efficient_attention.js';
export { info } from './info.js';
export type { Info, KernelForm, WebGPUInfo } from './info.js';
export type { NativeAttempt, NativeInfo } from './tensorflow/state.js';
export { mergeAttentions } from './ops/merge_attentions.js';
export type { AttentionOptions, AttnBias, PackedAttentionOptions } from './ops/attention_call.js';
export { rotaryEmbedding } from './ops/rotary_embedding.js';
export type { RotaryEmbeddingOptions } from './ops/rotary_embedding.js';
export type { RotaryRule, RotaryScaling } from './spec/rotary.js';
export { whyNotFused } from './ops/why_not_fused.js';
export type { FloatDType, FloatTensor } from './spec/dtype.js';
export type { AttentionLayout } from './spec/attention_layout.js';
export type { PackedHeads } from './spec/packed_attention.js';
export type { LayerNormOptions, RMSNormOptions } from './spec/norm.js';
export { registerWebGPUBackend } from './webgpu/register_backend.js';
export type { WebGPUOptions } from './webgpu/register_backend.js';
export { ready } from './webgpu/ready.js';
export { autotune } from './webgpu/autotune.js';
export type { AutotuneOptions, ChoiceStore, TunedChoice } from './webgpu/autotune.js';
export { warmup } from './webgpu/warmup.js';
export type { WarmupSpec } from './webgpu/warmup_spec.js';
