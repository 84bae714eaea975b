// SPDX-License-Identifier: Apache-2.0
import type { Suite } from '../support/backends.js';
import { suite as attention } from './attention.js';
import { suite as attentionLayouts } from './attention_layouts.js';
import { suite as attentionMasking } from './attention_masking.js';
import { suite as attentionMerge } from './attention_merge.js';
import { suite as attentionSaving } from './attention_saving.js';
import { suite as backend } from './backend.js';
import { suite as bf16 } from './bf16.js';
import { suite as device } from './device.js';
import { suite as errorsAttention } from './errors_attention.js';
import { suite as errorsAttentionLayouts } from './errors_attention_layouts.js';
import { suite as errorsBf16 } from './errors_bf16.js';
import { suite as errorsLayers } from './errors_layers.js';
import { suite as errorsMerge } from './errors_merge.js';
import { suite as errorsMultiHead } from './errors_multi_head.js';
import { suite as errorsMultiHeadCache } from './errors_multi_head_cache.js';
import { suite as errorsNorm } from './errors_norm.js';
import { suite as fallback } from './fallback.js';
import { suite as fuzz } from './fuzz.js';
import { suite as gradients } from './gradients.js';
import { suite as layersAttention } from './layers_attention.js';
import { suite as layersFused } from './layers_fused.js';
import { suite as layersMultiHead } from './layers_multi_head.js';
import { suite as layersMultiHeadCache } from './layers_multi_head_cache.js';
import { suite as layersMultiHeadMasks } from './layers_multi_head_masks.js';
import { suite as layersMultiHeadTraining } from './layers_multi_head_training.js';
import { suite as layersNorm } from './layers_norm.js';
import { suite as layersQKNorm } from './layers_qk_norm.js';
import { suite as layersQKNormTraining } from './layers_qk_norm_training.js';
import { suite as mask } from './mask.js';
import { suite as memory } from './memory.js';
import { suite as memoryPipelines } from './memory_pipelines.js';
import { suite as norm } from './norm.js';
import { suite as qkNorm } from './qk_norm.js';
import { suite as rotary } from './rotary.js';
import { suite as training } from './training.js';
import { suite as autotune } from './autotune.js';
import { suite as variants } from './variants.js';
import { suite as variantsMatrix } from './variants_matrix.js';
import { suite as variantsNorm } from './variants_norm.js';
import { suite as warmup } from './warmup.js';

/** Every suite, in the order in which they run. */
export const allSuites: readonly Suite[] = [
  backend,
  warmup, // early: it wants to see its programs compiled
  bf16,
  mask,
  norm,
  qkNorm,
  rotary,
  attention,
  attentionLayouts,
  attentionSaving,
  attentionMasking,
  attentionMerge,
  gradients,
  errorsAttention,
  errorsAttentionLayouts,
  errorsBf16,
  errorsLayers,
  errorsMerge,
  errorsMultiHead,
  errorsMultiHeadCache,
  errorsNorm,
  layersNorm,
  layersAttention,
  layersQKNorm,
  layersQKNormTraining,
  layersFused,
  layersMultiHead,
  layersMultiHeadMasks,
  layersMultiHeadCache,
  layersMultiHeadTraining,
  fallback,
  memory,
  memoryPipelines,
  training,
  fuzz,
  autotune,
  variants,
  variantsMatrix,
  variantsNorm,
  // Last: it replaces the WebGPU device, and with it every compiled shader.
  device,
];
