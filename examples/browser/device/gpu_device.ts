// SPDX-License-Identifier: Apache-2.0
/** The device of tfjs' WebGPU backend: whether it is lost, and whether it had memory for what it was asked. */
import * as tf from '@tensorflow/tfjs-core';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';

/** Null on other backends. */
export function gpuDevice(): GPUDevice | null {
  return tf.getBackend() === 'webgpu' ? (tf.backend() as WebGPUBackend).device : null;
}

/** Calls back once if the device is lost: a driver was reset, its memory ran out, a GPU was unplugged. */
export function onDeviceLost(act: (why: string) => void): void {
  void gpuDevice()?.lost.then(({ reason, message }) =>
    act([reason === 'unknown' ? '' : reason, message].filter((part) => part).join(': ')),
  );
}

/**
 * Runs something and makes an error of what WebGPU would only have noted in the console: no memory for a buffer, or a
 * command that the device cannot take. Its results would be zeros.
 */
export async function withGPUErrors<T>(run: () => Promise<T>): Promise<T> {
  const device = gpuDevice();
  if (!device) return run();
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let result: T;
  try {
    result = await run();
  } catch (error) {
    await Promise.allSettled([device.popErrorScope(), device.popErrorScope()]);
    throw error;
  }
  const memory = await device.popErrorScope();
  const validation = await device.popErrorScope();
  if (memory) throw new Error('the device has no memory left for it');
  if (validation) throw new Error(`the device refuses it (${validation.message.split('\n')[0]})`);
  return result;
}

/**
 * Gives back what tfjs keeps of freed buffers: each length has buffers of its own sizes, which no other would use again
 * (a pool without a public name, seen in 4.22.0).
 */
export function emptyBufferPool(): void {
  if (tf.getBackend() !== 'webgpu') return;
  const { bufferManager } = tf.backend() as unknown as {
    bufferManager: {
      freeBuffers: Map<string, GPUBuffer[]>;
      numBytesAllocated: number;
      numFreeBuffers: number;
    };
  };
  for (const buffers of bufferManager.freeBuffers.values()) {
    for (const buffer of buffers.splice(0)) {
      bufferManager.numBytesAllocated -= buffer.size;
      bufferManager.numFreeBuffers--;
      buffer.destroy();
    }
  }
}
