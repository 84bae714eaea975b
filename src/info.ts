// SPDX-License-Identifier: Apache-2.0
import { engine, getBackend, version_core } from '@tensorflow/tfjs-core';
import { supportMatrix } from './spec/support.js';
import { NATIVE_ABI, nativeLibrary, notLoaded } from './tensorflow/state.js';
import type { NativeInfo } from './tensorflow/state.js';
import { VERSION } from './version.js';
import { webgpuBackend } from './webgpu/backend.js';
import { loadedWebGPUPart } from './webgpu/loading.js';
import { isSoftwareAdapter } from './webgpu/software_adapter.js';

/** How an op runs: as a kernel of its own, or as tfjs' ops. */
export type KernelForm = 'fused' | 'portable';

/** The device of the running WebGPU backend. */
export interface WebGPUInfo {
  adapter: { vendor: string; architecture: string; device: string; description: string };
  /** Whether the processor does a GPU's work: everything is slow then. */
  softwareAdapter: boolean;
  features: string[];
  limits: Record<string, number>;
  /** Programs of this package that the device has compiled so far. */
  compiledPrograms: number;
  /** What `autotune` has chosen for the device, by kernel and shapes. */
  tuned: Record<string, unknown>;
}

/** What `info()` returns: plain data, fit for JSON. */
export interface Info {
  version: string;
  /** Versions of what this package builds on. */
  versions: { '@tensorflow/tfjs-core': string };
  /** The current backend; null before one is chosen. */
  backend: string | null;
  /** The backends registered with tfjs. */
  backends: string[];
  /** How each op runs on each registered backend. */
  kernels: Record<string, Record<string, KernelForm>>;
  /** null unless tfjs' WebGPU backend runs. */
  webgpu: WebGPUInfo | null;
  /** The library of fused kernels for the `tensorflow` backend. */
  native: NativeInfo;
  /** The GPU that the native library uses; null if none. */
  gpu: string | null;
}

function kernels(): Info['kernels'] {
  const table: Info['kernels'] = {};
  for (const { op, backend, forward } of supportMatrix()) {
    if (!(backend in engine().registryFactory)) continue;
    (table[backend] ??= {})[op] = forward === 'fused' ? 'fused' : 'portable';
  }
  return table;
}

/** Limits and the adapter's words are getters of a prototype, which JSON would leave out. */
function numbersOf(limits: GPUSupportedLimits): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') numbers[name] = value;
  }
  return numbers;
}

function webgpu(): WebGPUInfo | null {
  const running = engine().registry['webgpu'];
  if (!running) return null;
  const { device } = webgpuBackend(running);
  const adapter: Partial<GPUAdapterInfo> = device.adapterInfo ?? {};
  return {
    adapter: {
      vendor: adapter.vendor ?? '',
      architecture: adapter.architecture ?? '',
      device: adapter.device ?? '',
      description: adapter.description ?? '',
    },
    softwareAdapter: isSoftwareAdapter(device),
    features: [...device.features].sort(),
    limits: numbersOf(device.limits),
    compiledPrograms: loadedWebGPUPart()?.compiledPrograms(device).length ?? 0,
    tuned: loadedWebGPUPart()?.tunedChoices(device) ?? {},
  };
}

function native(): NativeInfo {
  const library = nativeLibrary();
  if (library) return library.info();
  return notLoaded("nothing asked for it: import 'tfjs-xformers/node' loads it, in Node", {
    abi: NATIVE_ABI,
    package: `tfjs-xformers-<platform>-<arch>@${VERSION}`,
  });
}

/**
 * What runs here: versions, backends, which kernels are fused on which backend, and the features
 * and limits of the WebGPU device once that backend runs, the native library. Allocates nothing.
 *
 * @returns a plain object, fit for JSON; see Info.
 * @example
 * await tf.setBackend('webgpu');
 * console.log(info().kernels.webgpu.memoryEfficientAttention);   // 'fused'
 */
export function info(): Info {
  const nativeInfo = native();
  return {
    version: VERSION,
    versions: { '@tensorflow/tfjs-core': version_core },
    backend: getBackend() ?? null,
    backends: Object.keys(engine().registryFactory).sort(),
    kernels: kernels(),
    webgpu: webgpu(),
    native: nativeInfo,
    gpu: nativeInfo.gpu,
  };
}
