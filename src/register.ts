// SPDX-License-Identifier: Apache-2.0
/** Registers every kernel and gradient with tfjs, on import. */
import { getKernel } from '@tensorflow/tfjs-core';
import { BFloat16Pack } from './kernel_names.js';
import { registerTensorFlowBFloat16 } from './portable/bfloat16_tensorflow.js';
import { registerCommon } from './register_common.js';
import { webgpuPartIs } from './webgpu/loading.js';
import * as webgpuKernels from './webgpu/webgpu_kernels.js';

const isFirst = registerCommon();
// Browsers have no backend `tensorflow`, and their entry, if it came first, no kernels for it.
if (!getKernel(BFloat16Pack, 'tensorflow')) registerTensorFlowBFloat16();
if (isFirst) webgpuKernels.registerWebGPUKernels();
webgpuPartIs(webgpuKernels);
