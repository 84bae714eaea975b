// SPDX-License-Identifier: Apache-2.0
/**
 * Run as a process of its own for each candidate: a backend that crashes, or a second TensorFlow,
 * must not disturb the others. Argument: the candidate's index. Answers with one message, a Trial.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { backend, setBackend, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { fusedLayerNorm } from '../ops/fused_norm.js';
import { info } from '../info.js';
import '../register.js';
import { registerNativeLibrary } from '../tensorflow/register.js';
import { registerWebGPUBackend } from '../webgpu/device.js';
import { CANDIDATES, reasonOf } from './candidates.js';
import type { Candidate, TensorFlowFacts, Trial } from './candidates.js';

/** Packages are looked up from the user's folder first, then from where this package lies. */
const fromUser = createRequire(path.join(process.cwd(), 'package.json'));
const fromHere = createRequire(import.meta.url);

function resolve(name: string): string | null {
  for (const require of [fromUser, fromHere]) {
    try {
      return require.resolve(name);
    } catch {
      // Not there: the other place may have it.
    }
  }
  return null;
}

function versionOf(name: string): string | null {
  const file = resolve(`${name}/package.json`);
  return file && (fromHere(file) as { version: string }).version;
}

async function load(name: string): Promise<unknown> {
  const file = resolve(name);
  if (!file) throw new Error(`${name} is not installed: npm install ${name}`);
  return import(pathToFileURL(file).href);
}

/** The npm package `webgpu` behind navigator.gpu, where tfjs' backend looks for it on import. */
async function provideWebGPU(): Promise<void> {
  const { create, globals } = (await load('webgpu')) as {
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

async function start({ backend: name, packages }: Candidate): Promise<void> {
  if (packages.includes('webgpu')) await provideWebGPU();
  await load(packages[0]);
  if (name === 'webgpu') await registerWebGPUBackend();
  if (name === 'tensorflow') registerNativeLibrary();
  if (!(await setBackend(name))) throw new Error('tfjs could not start this backend');
}

/** One small op, so that "works" means that it computes. */
async function compute(): Promise<void> {
  const normed = tidy(() => fusedLayerNorm(tensor2d([1, 3], [1, 2])));
  const [low, high] = await normed.data();
  normed.dispose();
  if (Math.abs(low! + 1) > 1e-4 || Math.abs(high! - 1) > 1e-4) {
    throw new Error(`a layer norm of [1, 3] gave [${low}, ${high}]`);
  }
}

/** tfjs-node's backend shows its binding; others have none. */
function tensorFlow(): TensorFlowFacts | undefined {
  const { binding, isUsingGpuDevice } = backend() as unknown as {
    binding?: { TF_Version: string };
    isUsingGpuDevice?: boolean;
  };
  return binding && { version: binding.TF_Version, usesGpu: isUsingGpuDevice === true };
}

async function tryOut(candidate: Candidate): Promise<Trial> {
  const [name] = candidate.packages;
  const trial: Trial = {
    backend: candidate.backend,
    package: name,
    version: versionOf(name),
    works: false,
  };
  try {
    await start(candidate);
    await compute();
  } catch (error) {
    return { ...trial, reason: reasonOf(error) };
  }
  const { kernels, webgpu, native } = info();
  const tensorflow = tensorFlow();
  return {
    ...trial,
    works: true,
    kernels: kernels[candidate.backend]!,
    ...(webgpu && { webgpu }),
    ...(tensorflow && { tensorflow, native }),
  };
}

const trial = await tryOut(CANDIDATES[Number(process.argv[2])]!);
// Dawn's threads keep a process alive.
process.send!(trial, () => process.exit(0));
