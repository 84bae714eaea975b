// SPDX-License-Identifier: Apache-2.0
/** The most memory that is held while something runs. */
import * as tf from '@tensorflow/tfjs-core';

/** What tfjs' WebGPU backend takes buffers from (a property without a public name, seen in 4.22.0). */
interface BufferManager {
  numBytesUsed: number;
  acquireBuffer(...args: unknown[]): unknown;
}

/** The most bytes of what `owner` hands out while `run` runs; `bytes` looks at them whenever `method` was called. */
export async function peakWhileTaken<Name extends string>(
  owner: Record<Name, (...args: unknown[]) => unknown>,
  method: Name,
  bytes: () => number,
  run: () => Promise<unknown>,
): Promise<number> {
  const take = owner[method].bind(owner);
  let peak = bytes();
  const watched = (...args: unknown[]) => {
    const taken = take(...args);
    peak = Math.max(peak, bytes());
    return taken;
  };
  Object.assign(owner, { [method]: watched });
  try {
    await run();
  } finally {
    // The method of its class is back.
    Reflect.deleteProperty(owner, method);
  }
  return peak;
}

/** Bytes of all GPU buffers in use, looked at whenever one is taken. */
function peakGPUBytes(run: () => Promise<unknown>): Promise<number> {
  const { bufferManager } = tf.backend() as unknown as { bufferManager: BufferManager };
  return peakWhileTaken(bufferManager, 'acquireBuffer', () => bufferManager.numBytesUsed, run);
}

/** Where the backends of Node keep tensors (properties without public names, seen in 4.22.0). */
interface Storage {
  get(id: object): Stored | undefined;
  set(id: object, stored: Stored): void;
  delete(id: object): boolean;
}

/** On `cpu` an array; on `tensorflow` what TensorFlow holds, `dtype` by its numbers. */
interface Stored {
  values?: { byteLength?: number } | null;
  shape?: number[];
  dtype?: number | string;
}

/** Bytes of an element by TensorFlow's number of the dtype; all others take four. */
const ELEMENT_BYTES: Record<number, number> = { 8: 8, 9: 8, 10: 1, 14: 2 };

function bytesOf({ values, shape, dtype }: Stored): number {
  if (typeof dtype !== 'number' || !shape) return values?.byteLength ?? 0;
  return tf.util.sizeFromShape(shape) * (ELEMENT_BYTES[dtype] ?? 4);
}

/**
 * Bytes of all tensors, looked at whenever one is made. tfjs' own count takes bfloat16 for float32, and so counts twice
 * what it takes.
 */
async function peakTensorBytes(run: () => Promise<unknown>): Promise<number> {
  const { tensorMap, data } = tf.backend() as unknown as { tensorMap?: Storage; data?: Storage };
  const storage = (tensorMap ?? data)!;
  const [set, remove] = [storage.set.bind(storage), storage.delete.bind(storage)];
  let held = tf.memory().numBytes;
  let peak = held;
  storage.set = (id, stored) => {
    held += bytesOf(stored);
    peak = Math.max(peak, held);
    set(id, stored);
  };
  storage.delete = (id) => {
    held -= bytesOf(storage.get(id) ?? {});
    return remove(id);
  };
  try {
    await run();
  } finally {
    // The methods of its class are back.
    Reflect.deleteProperty(storage, 'set');
    Reflect.deleteProperty(storage, 'delete');
  }
  return peak;
}

/** The most bytes held while `run` runs, those held before it included. */
export function peakBytes(run: () => Promise<unknown>): Promise<number> {
  return tf.getBackend() === 'webgpu' ? peakGPUBytes(run) : peakTensorBytes(run);
}

/** What `peakBytes` counts, in words. */
export function memoryKind(): string {
  return tf.getBackend() === 'webgpu' ? 'GPU buffers' : 'tensors';
}
