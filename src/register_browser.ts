// SPDX-License-Identifier: Apache-2.0
/**
 * Registers every kernel and gradient with tfjs, on import, those of WebGPU when its backend starts: bundlers make a
 * file of its own of what is imported here.
 */
import { registerCommon } from './register_common.js';
import { loadWithBackend } from './webgpu/loading.js';

registerCommon();
loadWithBackend(() => import('./webgpu/webgpu_kernels.js'));
