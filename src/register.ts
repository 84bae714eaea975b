// SPDX-License-Identifier: Apache-2.0
/** Registers every kernel and gradient with tfjs, on import. */
import { registerTensorFlowBFloat16 } from './portable/bfloat16_tensorflow.js';
import { registerCommon } from './register_common.js';
import { webgpuPartIs } from './webgpu/loading.js';
import * as webgpuKernels from './webgpu/webgpu_kernels.js';

if (registerCommon()) {
  // Browsers have no backend `tensorflow`.
  registerTensorFlowBFloat16();
  webgpuKernels.registerWebGPUKernels();
}
webgpuPartIs(webgpuKernels);
