// SPDX-License-Identifier: Apache-2.0
/** For `node --import`: navigator.gpu on the software adapter, before a program is loaded. */
import { provideWebGPU } from '../../scripts/node_webgpu.js';

await provideWebGPU('software');
