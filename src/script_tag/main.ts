// SPDX-License-Identifier: Apache-2.0
/** The main entry for script tags: the same names as members of the global `tfxf`, and the WebGPU kernels in a file beside. */
import * as shared from 'tfjs-xformers:shared';
import { registerCommon } from '../register_common.js';
import { loadWithBackend } from '../webgpu/loading.js';
import { loadBeside } from './load_beside.js';

registerCommon();
loadWithBackend(() => loadBeside(shared as object));

export * from '../api.js';
