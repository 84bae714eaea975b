// SPDX-License-Identifier: Apache-2.0
import { getBackend, ready as backendReady } from '@tensorflow/tfjs-core';
import { webgpuPart } from './loading.js';
import { areStandInsServing } from './stand_ins.js';

/**
 * As tf.ready(), and if the backend is `webgpu`, waits for its kernels as well. In browsers they are a
 * file of their own, which is loaded with the backend: tf.setBackend('webgpu') and tf.ready() wait for
 * it too, so this is needed only where this package comes into a page whose backend already runs, or
 * to see an error if the file cannot be had.
 *
 * @throws (as a rejection) Error if they cannot be loaded; calls run as tfjs ops then, and the next
 *   `ready()` tries again (of a module that failed, some browsers try only after a reload).
 * @example
 * const { fusedLayerNorm, ready } = await import('tfjs-xformers');
 * await ready();
 * fusedLayerNorm(x);
 */
export async function ready(): Promise<void> {
  await backendReady();
  if (getBackend() === 'webgpu' && areStandInsServing()) await webgpuPart('ready');
}
