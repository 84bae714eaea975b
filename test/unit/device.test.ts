// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { registerWebGPUBackend } from '../../src/index.js';

/** Runs `f` in a process that has WebGPU but no adapter: a browser without a usable GPU. */
async function withoutAdapter(f: () => Promise<void>): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const gpu = { requestAdapter: () => Promise.resolve(null) };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  try {
    await f();
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  }
}

describe('registerWebGPUBackend without an adapter', () => {
  it('says so on a first call, before tfjs trips over it', () =>
    withoutAdapter(async () => {
      tf.env().registerFlag('WEBGPU_USE_LOW_POWER_GPU', () => false); // as tfjs' backend does
      tf.registerBackend('webgpu', () => {
        throw new TypeError("Cannot read properties of null (reading 'features')");
      });
      try {
        await registerWebGPUBackend();
        expect.fail('no error');
      } catch (error) {
        expect((error as Error).message).to.match(/registerWebGPUBackend: .*has no adapter\./);
      } finally {
        tf.removeBackend('webgpu');
      }
    }));
});
