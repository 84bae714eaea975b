// SPDX-License-Identifier: Apache-2.0
/** What the GPU is given to do on the backend webgpu: bytes of buffers, and dispatches. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { peakBytes } from '../../src/cli/bench/memory.js';

/** The most bytes of GPU buffers in use while `run` ran, above those before it. */
export async function peakGPUBytes(run: () => Promise<void>): Promise<number> {
  const { bufferManager } = tf.backend() as unknown as { bufferManager: { numBytesUsed: number } };
  const before = bufferManager.numBytesUsed;
  return (await peakBytes(run)) - before;
}

/** Runs `f` with another function in the place of dispatchWorkgroups. */
async function withDispatch(
  replace: (original: (...grid: unknown[]) => unknown) => (...grid: unknown[]) => unknown,
  f: () => Promise<void> | void,
): Promise<void> {
  const encoder = GPUComputePassEncoder.prototype;
  const dispatch = Object.getOwnPropertyDescriptor(encoder, 'dispatchWorkgroups')!;
  const value = replace(dispatch.value as (...grid: unknown[]) => unknown);
  Object.defineProperty(encoder, 'dispatchWorkgroups', { ...dispatch, value });
  try {
    await f();
  } finally {
    Object.defineProperty(encoder, 'dispatchWorkgroups', dispatch);
  }
}

/**
 * Runs `f` with the GPU's work left out: buffers are made as ever, and nothing is computed in them.
 * A software adapter takes minutes for the scores of long causal sequences, whose memory is the point.
 */
export async function withoutComputing(f: () => Promise<void>): Promise<void> {
  let left = 0;
  await withDispatch(() => () => left++, f);
  expect(left, 'dispatches left out').to.be.above(0);
}

/** How many dispatches `f` makes. */
export async function dispatchesOf(f: () => Promise<void> | void): Promise<number> {
  let count = 0;
  await withDispatch(
    (original) =>
      function (this: unknown, ...grid: unknown[]): unknown {
        count++;
        return original.apply(this, grid);
      },
    f,
  );
  return count;
}

/** How many pipelines the device of tfjs' WebGPU backend makes while `f` runs. */
export async function pipelinesMadeBy(f: () => Promise<void>): Promise<number> {
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  const create = device.createComputePipeline.bind(device);
  const createAsync = device.createComputePipelineAsync.bind(device);
  let made = 0;
  device.createComputePipeline = (descriptor) => {
    made++;
    return create(descriptor);
  };
  device.createComputePipelineAsync = (descriptor) => {
    made++;
    return createAsync(descriptor);
  };
  try {
    await f();
  } finally {
    Reflect.deleteProperty(device, 'createComputePipeline');
    Reflect.deleteProperty(device, 'createComputePipelineAsync');
  }
  return made;
}
