// SPDX-License-Identifier: Apache-2.0
/**
 * What every entry registers with tfjs: portable kernels and gradients. tfjs keeps them by backend
 * name, so this works before a backend is loaded and holds for backends registered later.
 *
 * What is fused on `tensorflow` is up to the native library, which `tfjs-xformers/node` loads.
 */
import { getKernel } from '@tensorflow/tfjs-core';
import { registerBFloat16Gradients } from './gradients/bfloat16.js';
import { registerFusedNormGradient } from './gradients/fused_norm.js';
import { registerAttentionGradient } from './gradients/memory_efficient_attention.js';
import { registerSecondOrderErrors } from './gradients/second_order.js';
import { BFloat16Pack } from './kernel_names.js';
import { registerPortableKernels } from './portable/register.js';
import { registerFusedBackend } from './spec/support.js';
import { nativeReasons } from './tensorflow/state.js';

/**
 * Registers them, once per process: a second time would only make tfjs warn.
 * @returns whether this was the first time.
 */
export function registerCommon(): boolean {
  registerFusedBackend('tensorflow', nativeReasons);
  if (getKernel(BFloat16Pack, 'webgpu')) return false;
  registerPortableKernels();
  registerBFloat16Gradients();
  registerFusedNormGradient();
  registerAttentionGradient();
  registerSecondOrderErrors();
  return true;
}
