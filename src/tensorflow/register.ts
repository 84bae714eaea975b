// SPDX-License-Identifier: Apache-2.0
/**
 * Puts the native kernels before the portable ones on the `tensorflow` backend.
 *
 * Each call asks whether the library is there, because TensorFlow may come into the process after
 * this package; where it is not, the kernel that served before serves the call.
 */
import { engine, getKernel, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc } from '@tensorflow/tfjs-core';
import {
  BFloat16Pack,
  BFloat16Unpack,
  FusedNorm,
  FusedNormGrad,
  MemoryEfficientAttention,
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
} from '../kernel_names.js';
import { tellInstead, tellOnce } from '../ops/fallback.js';
import { nativePack, nativeUnpack } from './kernels/bfloat16.js';
import { nativeNorm, nativeNormGrad } from './kernels/fused_norm.js';
import {
  nativeAttention,
  nativeAttentionBiasGrad,
  nativeAttentionGrad,
  nativeAttentionSinkGrad,
} from './kernels/memory_efficient_attention.js';
import { createNativeLibrary } from './load_library.js';
import { nativeLibrary, setNativeLibrary } from './state.js';
import type { NativeLibrary } from './state.js';

const KERNELS: [string, KernelFunc][] = [
  [BFloat16Pack, nativePack],
  [BFloat16Unpack, nativeUnpack],
  [FusedNorm, nativeNorm],
  [FusedNormGrad, nativeNormGrad],
  [MemoryEfficientAttention, nativeAttention],
  [MemoryEfficientAttentionGrad, nativeAttentionGrad],
  [MemoryEfficientAttentionBiasGrad, nativeAttentionBiasGrad],
  [MemoryEfficientAttentionSinkGrad, nativeAttentionSinkGrad],
];

function registerKernels(library: NativeLibrary): void {
  const backendName = 'tensorflow';
  for (const [kernelName, native] of KERNELS) {
    const portable = getKernel(kernelName, backendName).kernelFunc;
    // tfjs warns of a second registration.
    unregisterKernel(kernelName, backendName);
    registerKernel({
      kernelName,
      backendName,
      kernelFunc: (call) => (library.ready() ? native(call) : portable(call)),
    });
  }
}

/**
 * A program that has no TensorFlow, and computes on the CPU all the same, is to hear of that, and not
 * of the backend that it has: one warning, whichever comes first.
 */
function withoutTensorFlow(library: NativeLibrary, backendName: string): string | undefined {
  const isFused = backendName === 'webgpu' || 'tensorflow' in engine().registryFactory;
  return isFused ? undefined : library.info().reason;
}

/** Says once that there are no native kernels, and why. */
function tellIfNotReady(library: NativeLibrary): void {
  if (library.ready()) return;
  tellOnce("on the backend 'tensorflow' all calls run as plain tfjs ops", library.info().reason);
}

/**
 * Loads the native library and registers its kernels; the portable ones must be registered. Where
 * another copy of this package has done so, there is nothing left to do.
 */
export function registerNativeLibrary(): void {
  if (nativeLibrary()) return;
  const library = createNativeLibrary();
  setNativeLibrary(library);
  registerKernels(library);
  tellInstead((backendName) => withoutTensorFlow(library, backendName));
  if (library.ready()) return;
  // The modules of one program are evaluated in one go: afterwards tfjs-node is there, or not soon.
  setImmediate(() => tellIfNotReady(library));
}
