// SPDX-License-Identifier: Apache-2.0
/**
 * What this package uses of tfjs' WebGPUBackend, in one place.
 *
 * The members under "queue" are private in tfjs' types and plain properties in its bundles (seen in
 * 4.22.0). `sharesQueue` checks for them once per backend; without them the dispatcher submits its
 * own commands, which is as correct and slower.
 */
import type { DataType, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';

export interface BufferManager {
  acquireBuffer(size: number, usage: number): GPUBuffer;
  releaseBuffer(buffer: GPUBuffer): void;
}

export interface WebGPUBackend {
  device: GPUDevice;
  queue: GPUQueue;
  tensorMap: { get(dataId: object): { resource?: GPUBuffer | null } };
  bufferManager: BufferManager;
  makeTensorInfo(shape: number[], dtype: DataType, values?: TypedArray): TensorInfo;
  uploadToGPU(dataId: object): void;
  incRef(dataId: object): void;
  disposeData(dataId: object, force?: boolean): boolean;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** tfjs' open command encoder and what belongs to it. */
export interface SharedQueue extends WebGPUBackend {
  commandEncoder: GPUCommandEncoder;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
  dispatchCountInPass: number;
  uniformPendingDisposal: GPUBuffer[];
  activeTimers?: { name: string; query: Promise<number> }[] | null;
  supportTimestampQuery: boolean;
  querySet?: GPUQuerySet | null;
  getQueryTime(): Promise<number>;
}

const QUEUE_MEMBERS = [
  'commandEncoder',
  'computePassEncoder',
  'commandQueueOwnedIds',
  'dispatchCountInPass',
  'uniformPendingDisposal',
  'supportTimestampQuery',
  'getQueryTime',
];

const checked = new WeakMap<object, boolean>();

/** Whether this backend's queue can be shared. */
export function sharesQueue(backend: WebGPUBackend): backend is SharedQueue {
  let shares = checked.get(backend);
  if (shares === undefined) {
    shares = QUEUE_MEMBERS.every((member) => member in backend);
    checked.set(backend, shares);
  }
  return shares;
}

/** tfjs types a kernel's backend as unknown; kernels registered for 'webgpu' get this one. */
export function webgpuBackend(backend: unknown): WebGPUBackend {
  return backend as WebGPUBackend;
}
