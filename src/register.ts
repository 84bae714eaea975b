// SPDX-License-Identifier: Apache-2.0
/** Registers every kernel and gradient with tfjs, on import. */
import { registerCommon } from './register_common.js';
import { webgpuPartIs } from './webgpu/loading.js';
import * as webgpuKernels from './webgpu/webgpu_kernels.js';

if (registerCommon()) webgpuKernels.registerWebGPUKernels();
webgpuPartIs(webgpuKernels);
