// SPDX-License-Identifier: Apache-2.0
/** The most memory that a call holds beyond what was held before it. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { finish } from './calls.js';

/** What tfjs' WebGPU backend takes buffers from (a property without a public name, seen in 4.22.0). */
interface BufferManager {
  numBytesUsed: number;
  acquireBuffer(...args: unknown[]): unknown;
}

type Call = () => Tensor[];

/** Bytes of all GPU buffers in use, looked at whenever one is taken. */
function workingGPUBytes(manager: BufferManager, call: Call): number {
  const before = manager.numBytesUsed;
  const acquire = manager.acquireBuffer.bind(manager);
  let peak = before;
  manager.acquireBuffer = (...args) => {
    const buffer = acquire(...args);
    peak = Math.max(peak, manager.numBytesUsed);
    return buffer;
  };
  try {
    tf.dispose(call());
  } finally {
    // The method of its class is back.
    Reflect.deleteProperty(manager, 'acquireBuffer');
  }
  return peak - before;
}

/** Bytes of all tensors, as tfjs' engine counts them after each kernel. */
async function workingTensorBytes(call: Call): Promise<number> {
  const before = tf.memory().numBytes;
  const { peakBytes } = await tf.profile(() => {
    tf.dispose(call());
    return [];
  });
  return peakBytes - before;
}

function bufferManager(): BufferManager | undefined {
  const { bufferManager: manager } = tf.backend() as { bufferManager?: Partial<BufferManager> };
  return typeof manager?.acquireBuffer === 'function' ? (manager as BufferManager) : undefined;
}

/** What `workingBytes` counts, in words. */
export function memoryKind(): 'GPU buffers' | 'tensors' {
  return bufferManager() ? 'GPU buffers' : 'tensors';
}

/** @param call computes tensors, which are freed; all of its work begins before it returns. */
export async function workingBytes(call: Call): Promise<number> {
  const manager = bufferManager();
  // The backend frees what was disposed of before when it gets to the end of its queue.
  const zero = tf.zeros([1]);
  await finish([zero]);
  zero.dispose();
  return manager ? workingGPUBytes(manager, call) : workingTensorBytes(call);
}
