// SPDX-License-Identifier: Apache-2.0
/** Starts the tfjs backend of a candidate in this process; one process starts one. */
import { backend, setBackend } from '@tensorflow/tfjs-core';
import '../register.js';
import { registerNativeLibrary } from '../tensorflow/register.js';
import { registerWebGPUBackend } from '../webgpu/register_backend.js';
import type { Candidate, TensorFlowFacts } from './candidates.js';
import { checkInstalled, loadPackage } from './find_packages.js';

/** The npm package `webgpu` behind navigator.gpu, where tfjs' backend looks for it on import. */
async function provideWebGPU(): Promise<void> {
  const { create, globals } = (await loadPackage('webgpu')) as {
    create(this: void, options: string[]): GPU;
    globals: object;
  };
  const gpu = create([]);
  // Dawn ends the process when this object is collected.
  Object.assign(globalThis, globals, { dawn: gpu });
  if (!('navigator' in globalThis)) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  if (!(await gpu.requestAdapter())) {
    throw new Error(
      'WebGPU found no adapter: it needs a Vulkan, Metal or D3D12 driver (on Linux see ' +
        'vulkaninfo; VK_ICD_FILENAMES may name a driver)',
    );
  }
}

/** @throws Error that says what is missing */
export async function startBackend({ backend: name, packages }: Candidate): Promise<void> {
  checkInstalled(packages);
  if (packages.includes('webgpu')) await provideWebGPU();
  await loadPackage(packages[0]);
  if (name === 'webgpu') await registerWebGPUBackend();
  if (name === 'tensorflow') registerNativeLibrary();
  if (!(await setBackend(name))) throw new Error('tfjs could not start this backend');
}

/** tfjs-node's backend shows its binding; others have none. */
export function tensorFlowFacts(): TensorFlowFacts | undefined {
  const { binding, isUsingGpuDevice } = backend() as unknown as {
    binding?: { TF_Version: string };
    isUsingGpuDevice?: boolean;
  };
  return binding && { version: binding.TF_Version, usesGpu: isUsingGpuDevice === true };
}
