// SPDX-License-Identifier: Apache-2.0
/** registerWebGPUBackend: what it refuses, and tfjs and the kernels on the device that it brings. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { fusedLayerNorm, info, registerWebGPUBackend } from '../../src/index.js';
import { MATRIX_FEATURE } from '../../src/webgpu/matrix_tile.js';
import type { TestBackend } from '../support/backends.js';

async function rejection(options: unknown): Promise<Error> {
  try {
    await registerWebGPUBackend(options as Parameters<typeof registerWebGPUBackend>[0]);
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

function currentDevice(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}

/** One op of tfjs and one of ours, on the current backend. */
async function expectItComputes(): Promise<void> {
  const [product, normed] = tf.tidy((): [tf.Tensor, tf.Tensor] => {
    const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    return [tf.matMul(a, a), fusedLayerNorm(tf.tensor2d([1, 3], [1, 2]))];
  });
  expect(Array.from(await product.data())).to.deep.equal([7, 10, 15, 22]);
  const [low, high] = await normed.data();
  expect(low).to.be.closeTo(-1, 1e-4);
  expect(high).to.be.closeTo(1, 1e-4);
  tf.dispose([product, normed]);
}

function onWebGPU(): void {
  const original = tf.findBackendFactory('webgpu');

  /** tfjs' own factory back in place, not started. */
  function restore(): void {
    if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', original, 3);
  }

  after(async () => {
    restore();
    await tf.setBackend('webgpu');
  });

  for (const [title, options, words] of [
    ['an unknown option', { power: 'low' }, /registerWebGPUBackend: options .*'power'/],
    ['a wrong powerPreference', { powerPreference: 'most' }, /powerPreference .*got 'most'/],
    ['a device that is none', { device: {} }, /options\.device must be a GPUDevice, got Object/],
    [
      'a flag that is none',
      { subgroupMatrices: 'yes' },
      /subgroupMatrices must be true or false, got 'yes'/,
    ],
    ['options that are no object', 7, /options must be an object, got 7/],
  ] as const) {
    it(`rejects ${title}`, async () => {
      const device = currentDevice();
      const error = await rejection(options);
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.match(words);
      expect(currentDevice()).to.equal(device);
    });
  }

  it('says so where there is no adapter, and leaves the backend alone', async () => {
    const device = currentDevice();
    const { gpu } = navigator;
    const none = () => Promise.resolve(null);
    Object.defineProperty(gpu, 'requestAdapter', { value: none, configurable: true });
    try {
      const error = await rejection({});
      expect(error.message).to.match(/has no adapter\. .*--enable-unsafe-webgpu/);
    } finally {
      Reflect.deleteProperty(gpu, 'requestAdapter');
    }
    expect(currentDevice()).to.equal(device);
    await expectItComputes();
  });

  it('a lost device is an error with its mend, and leaks nothing; a new one computes', async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter!.requestDevice();
    await registerWebGPUBackend({ device });
    await tf.setBackend('webgpu');
    await expectItComputes();
    const x = tf.ones([2, 4]);
    device.destroy();
    await device.lost;
    const { numTensors } = tf.memory();
    expect(() => fusedLayerNorm(x)).to.throw(
      Error,
      /device is lost \(destroyed.*await registerWebGPUBackend\(\)/,
    );
    expect(tf.memory().numTensors).to.equal(numTensors);
    await registerWebGPUBackend();
    await expectItComputes();
  });

  it('replaces a running backend; the device has every feature that the adapter offers', async () => {
    await registerWebGPUBackend();
    expect(tf.getBackend()).to.equal('webgpu');
    const adapter = await navigator.gpu.requestAdapter();
    const { features, limits } = info().webgpu!;
    for (const name of ['shader-f16', 'subgroups', 'timestamp-query', 'bgra8unorm-storage']) {
      expect(features.includes(name), name).to.equal(adapter!.features.has(name));
    }
    for (const name of ['maxStorageBuffersPerShaderStage', 'maxBufferSize'] as const) {
      expect(limits[name], name).to.equal(adapter!.limits[name]);
    }
    await expectItComputes();
  });

  it('asks for subgroup matrices only if told to, and works where there are none', async () => {
    const adapter = await navigator.gpu.requestAdapter();
    for (const subgroupMatrices of [false, true]) {
      await registerWebGPUBackend({ subgroupMatrices });
      const has = currentDevice().features.has(MATRIX_FEATURE);
      expect(has).to.equal(subgroupMatrices && adapter!.features.has(MATRIX_FEATURE));
      await expectItComputes();
    }
  });

  it('works a second time, with a device of the user', async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter!.requestDevice();
    await registerWebGPUBackend({ device });
    expect(currentDevice()).to.equal(device);
    await expectItComputes();
    await registerWebGPUBackend({ device, powerPreference: 'low-power' });
    expect(currentDevice()).to.equal(device);
    await expectItComputes();
  });

  it('works before the backend has been started', async () => {
    restore();
    await registerWebGPUBackend({ powerPreference: 'high-performance' });
    expect(tf.findBackendFactory('webgpu')).not.to.equal(original);
    await tf.setBackend('webgpu');
    await expectItComputes();
  });

  it('says so where tfjs has no backend webgpu', async () => {
    tf.removeBackend('webgpu');
    const error = await rejection({});
    expect(error.message).to.match(/no backend 'webgpu' registered\. Import /);
  });
}

export function suite(backend: TestBackend): void {
  describe('registerWebGPUBackend', function () {
    this.timeout(60000);

    if (backend.name === 'webgpu') {
      onWebGPU();
    } else if (backend.where === 'node') {
      it('says so where there is no WebGPU', async () => {
        const error = await rejection({});
        expect(error.message).to.match(/navigator\.gpu is missing.*npm package 'webgpu'/s);
      });
    }
  });
}
