// SPDX-License-Identifier: Apache-2.0
/** The layers as an entry of its own in browsers: the same names, and the WebGPU kernels in a file of their own. */
import './register_browser.js';

export * from './layers/registered.js';
