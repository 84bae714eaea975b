// SPDX-License-Identifier: Apache-2.0
/** The most memory that is held while something runs. */
import * as tf from '@tensorflow/tfjs-core';

/** What tfjs' WebGPU backend takes buffers from (a property without a public name, seen in 4.22.0). */
interface BufferManager {
  numBytesUsed: number;
  acquireBuffer(...args: unknown[]): unknown;
}

/** Bytes of all GPU buffers in use, looked at whenever one is taken. */
async function peakGPUBytes(run: () => Promise<unknown>): Promise<number> {
  const { bufferManager } = tf.backend() as unknown as { bufferManager: BufferManager };
  const acquire = bufferManager.acquireBuffer.bind(bufferManager);
  let peak = bufferManager.numBytesUsed;
  bufferManager.acquireBuffer = (...args) => {
    const buffer = acquire(...args);
    peak = Math.max(peak, bufferManager.numBytesUsed);
    return buffer;
  };
  try {
    await run();
  } finally {
    // The method of its class is back.
    Reflect.deleteProperty(bufferManager, 'acquireBuffer');
  }
  return peak;
}

/** Bytes of all tensors, as tfjs' engine counts them after each kernel. */
async function peakTensorBytes(run: () => Promise<unknown>): Promise<number> {
  let running: Promise<unknown> = Promise.resolve();
  const profile = await tf.profile(() => {
    running = run();
    return [];
  });
  await running;
  return profile.peakBytes;
}

/** The most bytes held while `run` runs, those held before it included. */
export function peakBytes(run: () => Promise<unknown>): Promise<number> {
  return tf.getBackend() === 'webgpu' ? peakGPUBytes(run) : peakTensorBytes(run);
}

/** What `peakBytes` counts, in words. */
export function memoryKind(): string {
  return tf.getBackend() === 'webgpu' ? 'GPU buffers' : 'tensors';
}
