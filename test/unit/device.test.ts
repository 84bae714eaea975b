// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { registerWebGPUBackend } from '../../src/index.js';

/** Runs `f` in a process that has a WebGPU which gives this adapter. */
async function withAdapter(adapter: object | null, f: () => Promise<void>): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const gpu = { requestAdapter: () => Promise.resolve(adapter) };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  try {
    await f();
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  }
}

class Device {
  isDestroyed = false;
  readonly queue = {};
  readonly limits = {};
  readonly features = new Set();
  createComputePipeline(): void {}
  destroy(): void {
    this.isDestroyed = true;
  }
}

class Backend extends tf.KernelBackend {
  constructor(readonly device: Device) {
    super();
  }
  override dispose(): void {}
}

before(() => tf.env().registerFlag('WEBGPU_USE_LOW_POWER_GPU', () => false)); // as tfjs' backend does

describe('registerWebGPUBackend without an adapter', () => {
  it('says so on a first call, before tfjs trips over it', () =>
    withAdapter(null, async () => {
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

describe('registerWebGPUBackend with a device of the user', () => {
  /** As another copy of this package does, which has a factory wait for its kernels. */
  function makeAsynchronous(): void {
    const factory = tf.findBackendFactory('webgpu');
    tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', async () => factory());
  }
  const register = (device?: Device) =>
    registerWebGPUBackend(device ? { device: device as unknown as GPUDevice } : {});

  it('destroys the one that tfjs made, and never theirs, when it is replaced', async () => {
    const made: Device[] = [];
    const newDevice = () => {
      made.push(new Device());
      return Promise.resolve(made.at(-1)!);
    };
    const adapter = { features: new Set(), limits: {}, info: {}, requestDevice: newDevice };
    await withAdapter(adapter, async () => {
      tf.registerBackend('webgpu', async () => new Backend(await newDevice()));
      const theirs = [new Device(), new Device()];
      await register(theirs[0]);
      expect(made.map(({ isDestroyed }) => isDestroyed)).to.deep.equal([true]);
      makeAsynchronous();
      await register(theirs[1]);
      makeAsynchronous();
      await register();
      makeAsynchronous();
      await register();
      expect(theirs.map(({ isDestroyed }) => isDestroyed)).to.deep.equal([false, false]);
      // The devices of this package's own factories may be in use as well.
      expect(made.map(({ isDestroyed }) => isDestroyed)).to.deep.equal([true, false, false]);
      tf.removeBackend('webgpu');
    });
  });
});
