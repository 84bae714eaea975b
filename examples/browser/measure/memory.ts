// SPDX-License-Identifier: Apache-2.0
/** The most memory held, on the backends of a browser. */
import * as tf from '@tensorflow/tfjs-core';

import { peakBytes, peakWhileTaken } from '../../../src/cli/bench/memory.js';

/** What tfjs' WebGL backend takes textures from (members without public names, seen in 4.22.0). */
interface TextureCount {
  numBytesInGPU: number;
  acquireTexture(...args: unknown[]): unknown;
}

/** Bytes of all textures in use, looked at whenever one is taken. */
function peakTextureBytes(run: () => Promise<unknown>): Promise<number> {
  const backend = tf.backend() as unknown as TextureCount;
  return peakWhileTaken(backend, 'acquireTexture', () => backend.numBytesInGPU, run);
}

/** The most bytes held while `run` runs, those held before it included. */
export function mostBytes(run: () => Promise<unknown>): Promise<number> {
  return tf.getBackend() === 'webgl' ? peakTextureBytes(run) : peakBytes(run);
}

/** Bytes that are held now, counted as `mostBytes` counts. */
export function bytesNow(): Promise<number> {
  return mostBytes(() => Promise.resolve());
}

/** What is counted, in words. */
export function countedThings(): string {
  const things: Record<string, string> = { webgpu: 'GPU buffers', webgl: 'textures' };
  return things[tf.getBackend()] ?? 'tensors';
}
