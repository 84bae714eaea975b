// SPDX-License-Identifier: Apache-2.0
/** The most memory that is held while something runs; the benchmark's, and of examples and tests of this repository. */
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Tensor } from '@tensorflow/tfjs-core';
import { finish } from './calls.js';

type Run = () => Promise<unknown>;

/** What tfjs' WebGPU backend takes buffers from (a property without a public name, seen in 4.22.0). */
interface BufferManager {
  numBytesUsed: number;
  acquireBuffer(...args: unknown[]): unknown;
}

/** Where the other backends keep tensors (properties without public names, seen in 4.22.0). */
interface Storage {
  get(id: object): Stored | undefined;
  set(id: object, stored: Stored): void;
  delete(id: object): boolean;
}

/** On `cpu` an array; on `tensorflow` what TensorFlow holds, `dtype` by its numbers; on `wasm` a place in its heap. */
interface Stored {
  values?: { byteLength?: number } | null;
  shape?: number[];
  dtype?: number | string;
}

interface Holder {
  bufferManager?: BufferManager;
  tensorMap?: Storage;
  data?: Storage;
  dataIdMap?: Storage;
}

/** Bytes of an element by TensorFlow's number of the dtype; all others take four. */
const ELEMENT_BYTES: Record<number, number> = { 8: 8, 9: 8, 10: 1, 14: 2 };

/** The most bytes of what `owner` hands out while `run` runs; `bytes` looks at them whenever `method` was called. */
export async function peakWhileTaken<Name extends string>(
  owner: Record<Name, (...args: unknown[]) => unknown>,
  method: Name,
  bytes: () => number,
  run: Run,
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

function bytesOf({ values, shape, dtype }: Stored): number {
  if (typeof dtype === 'number' && shape) {
    return tf.util.sizeFromShape(shape) * (ELEMENT_BYTES[dtype] ?? 4);
  }
  if (values?.byteLength !== undefined || !shape) return values?.byteLength ?? 0;
  return tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype as DataType);
}

/** Bytes of all tensors, looked at whenever one is made. */
async function peakTensorBytes(run: Run): Promise<number> {
  const { tensorMap, data, dataIdMap } = tf.backend() as Holder;
  const storage = (tensorMap ?? data ?? dataIdMap)!;
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

function buffers(): BufferManager | null {
  const { bufferManager } = tf.backend() as Holder;
  return typeof bufferManager?.acquireBuffer === 'function' ? bufferManager : null;
}

/** Bytes that are held now. */
function bytesHeld(): number {
  return buffers()?.numBytesUsed ?? tf.memory().numBytes;
}

/**
 * The most bytes held while `run` runs, those held before it included: on `webgpu` of all GPU buffers in use, else of all
 * tensors. bfloat16 counts as what it takes; tfjs' own count has it as float32.
 */
export function peakBytes(run: Run): Promise<number> {
  const manager = buffers();
  if (!manager) return peakTensorBytes(run);
  return peakWhileTaken(manager, 'acquireBuffer', () => manager.numBytesUsed, run);
}

/** What is counted, in words. */
export function memoryKind(): 'GPU buffers' | 'tensors' {
  return buffers() ? 'GPU buffers' : 'tensors';
}

/**
 * The most bytes that a call holds beyond what was held before it.
 * @param call computes tensors, which are freed; all of its work begins before it returns.
 */
export async function workingBytes(call: () => Tensor[]): Promise<number> {
  // The backend frees what was disposed of before when it gets to the end of its queue.
  const zero = tf.zeros([1]);
  await finish([zero]);
  zero.dispose();
  const before = bytesHeld();
  const peak = await peakBytes(() => {
    tf.dispose(call());
    return Promise.resolve();
  });
  return peak - before;
}
