// SPDX-License-Identifier: Apache-2.0
/** Starts the best backend that works here, and remembers in words why better ones do not. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgl';
import '@tensorflow/tfjs-backend-webgpu';

import { fusedLayerNorm, registerWebGPUBackend } from '../../../src/index.js';
import { reasonOf } from '../page/words.js';

/** The best first. */
export const BACKENDS = ['webgpu', 'webgl', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

export const BACKEND_WORDS: Readonly<Record<BackendName, string>> = {
  webgpu: 'WebGPU',
  webgl: 'WebGL',
  cpu: 'the processor, in JavaScript',
};

export interface StartedBackend {
  name: BackendName;
  /** The better ones that do not work, each with the reason. */
  failures: { name: BackendName; reason: string }[];
}

const NO_WEBGPU =
  'this browser has none; Chrome or Edge 113, Safari 26, Firefox 141 on Windows, or newer ones do';
const NOT_SECURE = 'browsers give it only to pages that come from https or from localhost';

async function startWebGPU(): Promise<void> {
  // It may be there and undefined, which the types do not know.
  const { gpu } = navigator as { gpu?: GPU };
  if (!gpu) throw new Error(isSecureContext ? NO_WEBGPU : NOT_SECURE);
  if (!(await gpu.requestAdapter())) {
    throw new Error('it is there, but finds no graphics device; a newer driver may help');
  }
  await registerWebGPUBackend();
}

/** One small op, so that "works" means that it computes. */
async function tryOut(): Promise<void> {
  const normed = tf.tidy(() => fusedLayerNorm(tf.tensor2d([1, 3], [1, 2])));
  const [low, high] = await normed.data();
  normed.dispose();
  if (Math.abs(low! + 1) > 1e-3 || Math.abs(high! - 1) > 1e-3) {
    throw new Error(`it computes wrongly: a layer norm of 1 and 3 gave ${low} and ${high}`);
  }
}

async function start(name: BackendName): Promise<void> {
  if (name === 'webgpu') await startWebGPU();
  if (!(await tf.setBackend(name))) throw new Error('tfjs cannot start it in this browser');
  await tryOut();
}

/**
 * @param wanted where to begin: what is better than it is not tried
 * @throws Error if nothing works, not even JavaScript
 */
export async function startBackend(wanted: BackendName | null): Promise<StartedBackend> {
  tf.enableProdMode();
  // Small tensors go to the device as well: reading them back would have to wait for it.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  const failures: StartedBackend['failures'] = [];
  for (const name of BACKENDS.slice(wanted ? BACKENDS.indexOf(wanted) : 0)) {
    try {
      await start(name);
      return { name, failures };
    } catch (error) {
      console.warn(`${name}:`, error);
      failures.push({ name, reason: reasonOf(error) });
    }
  }
  throw new Error(failures.map(({ name, reason }) => `${name}: ${reason}`).join('; '));
}
