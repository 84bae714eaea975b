// SPDX-License-Identifier: Apache-2.0
/**
 * The WebGPU part of this package: kernels, shaders, and what works with them. The entry for Node and
 * tools imports it at once, that for browsers when there is a WebGPU backend (loading.ts). Nothing else may
 * import it, or the modules under it, but for their types.
 */
import { registerWebGPUAppendRows } from './kernels/append_rows.js';
import { registerWebGPUBFloat16 } from './kernels/bfloat16.js';
import { registerWebGPUFusedNorm } from './kernels/fused_norm.js';
import { registerWebGPUAttention } from './kernels/memory_efficient_attention.js';
import { registerWebGPUAttentionGrad } from './kernels/memory_efficient_attention_grad.js';

export { replaceBackend } from './device.js';
export { tunedChoices } from './choices.js';
export { tuneCalls } from './measuring.js';
export { compiledPrograms } from './pipelines.js';
export { compileCalls } from './rehearsal.js';

/** Registers the kernels with tfjs; none of them may be registered on `webgpu`. */
export function registerWebGPUKernels(): void {
  registerWebGPUBFloat16();
  registerWebGPUAppendRows();
  registerWebGPUFusedNorm();
  registerWebGPUAttention();
  registerWebGPUAttentionGrad();
}
