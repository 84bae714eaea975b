// SPDX-License-Identifier: Apache-2.0
/**
 * Registers every kernel and gradient with tfjs. tfjs keeps them by backend name, so this works
 * before a backend is loaded and holds for backends registered later. Once per process: a second
 * registration would only make tfjs warn.
 *
 * What is fused on `tensorflow` is up to the native library, which `tfjs-xformers/node` loads.
 */
import { getKernel } from '@tensorflow/tfjs-core';
import { registerBFloat16Gradients } from './gradients/bfloat16.js';
import { registerFusedNormGradient } from './gradients/fused_norm.js';
import { registerAttentionGradient } from './gradients/memory_efficient_attention.js';
import { registerSecondOrderErrors } from './gradients/second_order.js';
import { BFloat16Pack } from './kernel_names.js';
import { registerPortableAppendRows } from './portable/append_rows.js';
import { registerPortableBFloat16 } from './portable/bfloat16.js';
import { registerTensorFlowBFloat16 } from './portable/bfloat16_tensorflow.js';
import { registerFusedBackend } from './spec/support.js';
import { nativeReasons } from './tensorflow/state.js';
import { registerWebGPUAppendRows } from './webgpu/kernels/append_rows.js';
import { registerWebGPUBFloat16 } from './webgpu/kernels/bfloat16.js';
import { registerWebGPUFusedNorm } from './webgpu/kernels/fused_norm.js';
import { registerWebGPUAttention } from './webgpu/kernels/memory_efficient_attention.js';
import { registerWebGPUAttentionGrad } from './webgpu/kernels/memory_efficient_attention_grad.js';

if (!getKernel(BFloat16Pack, 'webgpu')) {
  registerPortableBFloat16();
  registerTensorFlowBFloat16();
  registerPortableAppendRows();
  registerWebGPUBFloat16();
  registerWebGPUAppendRows();
  registerWebGPUFusedNorm();
  registerWebGPUAttention();
  registerWebGPUAttentionGrad();
  registerBFloat16Gradients();
  registerFusedNormGradient();
  registerAttentionGradient();
  registerSecondOrderErrors();
}
registerFusedBackend('tensorflow', nativeReasons);
