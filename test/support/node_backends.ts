// SPDX-License-Identifier: Apache-2.0
/** The backends that run in Node. Each gets a process of its own (scripts/test.mjs), so that none sees another. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import * as tf from '@tensorflow/tfjs-core';

import { provideWebGPU, type Adapter } from '../../scripts/node_webgpu.js';
import type { BackendName, TestBackend } from './backends.js';

const golden = new URL('../golden/', import.meta.url);

/** Which kernels serve the `tensorflow` backend: those of the native library, or tfjs ops. */
export const tensorFlowKernels = process.env['TFXF_KERNELS'] === 'portable' ? 'portable' : 'native';

/** Offers Dawn's experimental features, subgroup matrices among them, of GPUs: no software adapter has any. */
const UNSAFE = 'enable-dawn-features=allow_unsafe_apis';

/** Loads what registers each backend with tfjs. */
const load: Partial<Record<BackendName, () => Promise<void>>> = {
  cpu: async () => {
    await import('@tensorflow/tfjs');
  },
  wasm: async () => {
    await import('@tensorflow/tfjs');
    await import('@tensorflow/tfjs-backend-wasm');
  },
  tensorflow: async () => {
    // The name is a variable: two packages bring this backend, and a process has one of them.
    const name = process.env['TFXF_TENSORFLOW'] ?? '@tensorflow/tfjs-node-gpu';
    await import(name);
    if (tensorFlowKernels === 'native') await import('../../src/node.js');
  },
  webgpu: async () => {
    const adapter = (process.env['TFXF_ADAPTER'] ?? 'software') as Adapter;
    await provideWebGPU(adapter, adapter === 'software' ? [] : [UNSAFE]);
    await import('@tensorflow/tfjs');
    await import('@tensorflow/tfjs-backend-webgpu');
    tf.env().set('WEBGPU_CPU_FORWARD', false);
    // With all features that the kernels can use; the suites in Chromium run on the device that tfjs makes.
    const { registerWebGPUBackend } = await import('../../src/index.js');
    await registerWebGPUBackend();
  },
};

export const nodeBackendNames = Object.keys(load) as BackendName[];

/** @throws Error for a backend that does not run in Node */
export function nodeBackend(name: BackendName): TestBackend {
  const loadBackend = load[name];
  if (loadBackend === undefined) {
    throw new Error(`The backend ${name} does not run in Node: ${nodeBackendNames.join(', ')} do.`);
  }
  return {
    name,
    where: 'node',
    async activate() {
      await loadBackend();
      if (!(await tf.setBackend(name))) {
        throw new Error(`tfjs could not start its backend ${name}.`);
      }
    },
    async readBytes(path) {
      const data = await readFile(fileURLToPath(new URL(path, golden)));
      return new Uint8Array(data).buffer;
    },
  };
}
