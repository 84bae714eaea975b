// SPDX-License-Identifier: Apache-2.0
/** The main entry in browsers: the same names, and the WebGPU kernels in a file of their own. */
import './register_browser.js';

export * from './api.js';
