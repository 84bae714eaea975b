// SPDX-License-Identifier: Apache-2.0
/**
 * On the `tensorflow` backend: the native kernels and the portable ones that served before them, to compare one with
 * the other. Who only uses the package needs none of this: `import 'tfjs-xformers/node'` is all.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { KernelConfig, KernelFunc } from '@tensorflow/tfjs-core';

const BACKEND = 'tensorflow';

/** The name of the portable kernels in tables. */
export const PORTABLE = 'portable';

/** The native kernels, each with the portable one that it replaced. */
let replaced: { native: KernelConfig; portable: KernelConfig }[] = [];

/** The functions that serve on the `tensorflow` backend now, by the names of their kernels. */
export function servingKernels(): Map<string, KernelFunc> {
  const kernels = tf.getKernelsForBackend(BACKEND);
  return new Map(kernels.map(({ kernelName, kernelFunc }) => [kernelName, kernelFunc]));
}

/** @param before what served before the native library was loaded */
export function rememberReplaced(before: Map<string, KernelFunc>): void {
  replaced = tf.getKernelsForBackend(BACKEND).flatMap((native) => {
    const kernelFunc = before.get(native.kernelName);
    if (kernelFunc === undefined || kernelFunc === native.kernelFunc) return [];
    return [{ native, portable: { ...native, kernelFunc } }];
  });
}

/** Whether native kernels are in use. */
export function hasNative(): boolean {
  return replaced.length > 0;
}

/** The name of this package's kernels on this backend, in tables. */
export function ourKernels(): string {
  if (hasNative()) return 'native';
  return tf.getBackend() === 'webgpu' ? 'fused' : PORTABLE;
}

function register(kernel: KernelConfig): void {
  // tfjs warns of a second registration.
  tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel(kernel);
}

/** Runs ops with the portable kernels in place of the native ones. */
export function withoutNative<T>(run: () => T): T {
  for (const { portable } of replaced) register(portable);
  try {
    return run();
  } finally {
    for (const { native } of replaced) register(native);
  }
}
