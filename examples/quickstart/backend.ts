// SPDX-License-Identifier: Apache-2.0
/** Loads the tfjs backend that the command line names, before anything else of tfjs. */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

import type { Backend, Speed } from './options.js';

export interface Device {
  speed: Speed;
  /** For people: what computes. */
  description: string;
}

const SOFTWARE_ADAPTERS = /swiftshader|llvmpipe|lavapipe|software|basic render/i;

function processor(): string {
  const cpus = os.cpus();
  return `${cpus[0]?.model.trim() ?? process.arch}, ${os.availableParallelism()} threads`;
}

/** Brings what npm does not, once; says what it does. */
function setUp(part: '--tensorflow' | '--native' | '--chromium'): void {
  const script = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url));
  spawnSync(process.execPath, [script, part], { stdio: 'inherit' });
}

/**
 * Loads the native library, where there is one that fits the TensorFlow that is loaded now. In a program of one's own
 * `import 'tfjs-xformers/node'` does it; this one remembers what served before, to compare with it.
 *
 * @returns what kernels there are, for people
 */
async function native(): Promise<string> {
  const { info } = await import('../../src/index.js');
  const { rememberReplaced, servingKernels } = await import('./native.js');
  const before = servingKernels();
  await import('../../src/node.js');
  const { loaded, isa } = info().native;
  if (!loaded) return 'without native kernels';
  rememberReplaced(before);
  return `native kernels for ${isa}`;
}

const load: Record<Backend, () => Promise<Device>> = {
  async tensorflow() {
    // TensorFlow's own log: errors and warnings, not what it found out about the processor.
    process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
    setUp('--tensorflow');
    if (process.env['TFJS_XFORMERS_NATIVE'] === undefined) setUp('--native');
    try {
      await import('@tensorflow/tfjs-node-gpu');
    } catch (error) {
      const [reason] = String(error).split('\n');
      throw new Error(
        `@tensorflow/tfjs-node-gpu does not load: ${reason}\n` +
          'The set-up above says what it needs; --backend cpu does without it.',
        { cause: error },
      );
    }
    return { speed: 'tensorflow', description: `TensorFlow on ${processor()}, ${await native()}` };
  },
  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu');
    return { speed: 'javascript', description: `JavaScript on ${processor()}` };
  },
  async webgpu() {
    const { provideWebGPU } = await import('../../scripts/node_webgpu.js');
    const adapter = await provideWebGPU('auto').catch(() => {
      setUp('--chromium'); // it brings SwiftShader
      return provideWebGPU('software');
    });
    await import('@tensorflow/tfjs-backend-webgpu');
    const isSoftware = SOFTWARE_ADAPTERS.test(adapter);
    const where = isSoftware ? `${adapter}, a software adapter, on ${processor()}` : adapter;
    return { speed: isSoftware ? 'software gpu' : 'gpu', description: `WebGPU on ${where}` };
  },
};

/** @throws Error that says what is missing and how to get it */
export async function loadBackend(backend: Backend): Promise<Device> {
  const device = await load[backend]();
  const tf = await import('@tensorflow/tfjs-core');
  // Without debug checks, and without tfjs' advice to install a backend for Node.
  tf.enableProdMode();
  // Small tensors go to the GPU as well: reading them back would have to wait for it.
  if (backend === 'webgpu') tf.env().set('WEBGPU_CPU_FORWARD', false);
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs could not start ${backend}`);
  return device;
}
