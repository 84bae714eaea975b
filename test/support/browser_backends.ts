// SPDX-License-Identifier: Apache-2.0
/** The backends that run in Chromium, all in one page. karma serves the files from /base. */
import '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

import type { BackendName, TestBackend } from './backends.js';

export const browserBackendNames: readonly BackendName[] = ['cpu', 'wasm', 'webgl', 'webgpu'];

export function browserBackend(name: BackendName): TestBackend {
  return {
    name,
    where: 'chromium',
    async activate() {
      // Without this tfjs refuses WebGL on a software renderer.
      tf.env().set('SOFTWARE_WEBGL_ENABLED', true);
      if (name === 'webgpu') {
        tf.env().set('WEBGPU_CPU_FORWARD', false);
      }
      if (name === 'wasm') {
        setWasmPaths('/base/node_modules/@tensorflow/tfjs-backend-wasm/dist/');
      }
      if (!(await tf.setBackend(name))) {
        throw new Error(`tfjs could not start its backend ${name}.`);
      }
    },
    async readBytes(path) {
      const response = await fetch(`/base/test/golden/${path}`);
      if (!response.ok) {
        throw new Error(`test/golden/${path}: ${response.status} ${response.statusText}`);
      }
      return response.arrayBuffer();
    },
  };
}
