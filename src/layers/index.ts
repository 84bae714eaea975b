// SPDX-License-Identifier: Apache-2.0
/** The layers: factory functions in the manner of tf.layers, and the classes that they make. */
export { FusedLayerNormalization, fusedLayerNormalization } from './fused_layer_normalization.js';
export type { FusedLayerNormalizationArgs } from './fused_layer_normalization.js';
export { FusedRMSNormalization, fusedRMSNormalization } from './fused_rms_normalization.js';
export type { FusedRMSNormalizationArgs } from './fused_rms_normalization.js';
export {
  MemoryEfficientAttention,
  memoryEfficientAttention,
} from './memory_efficient_attention.js';
export type { MemoryEfficientAttentionArgs } from './memory_efficient_attention.js';
export { MultiHeadAttention, multiHeadAttention } from './multi_head_attention.js';
export type { MultiHeadAttentionArgs, MultiHeadQKNorm } from './multi_head/args.js';
export { KeyValueCache } from './multi_head/key_value_cache.js';
export { makeCache } from './make_cache.js';
export { QKNormAttention, qkNormAttention } from './qk_norm_attention.js';
export type { QKNormAttentionArgs } from './qk_norm_attention.js';
export type { CastStrategy, QKNormKind } from './qk_norm/rules.js';
export type { RopeArg } from './rotary_positions.js';
export { useFusedLayers } from './use_fused_layers.js';
