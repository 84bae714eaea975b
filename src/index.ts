// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs-xformers: fused norms, memory-efficient attention and bfloat16 for TensorFlow.js.
 * Importing it registers the kernels and gradients for every backend. Browsers and bundlers for them
 * get index_browser.ts in its place, which loads those for WebGPU when that backend starts.
 * @packageDocumentation
 */
import './register.js';

export * from './api.js';
