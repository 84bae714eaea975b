// SPDX-License-Identifier: Apache-2.0
/** The packages that bring a tfjs backend to Node, and what trying one tells. */
import type { Info, WebGPUInfo } from '../info.js';

export interface Candidate {
  backend: string;
  /** Loaded in this order; the first one is what the user installs for this backend. */
  packages: readonly [string, ...string[]];
}

export const CANDIDATES: readonly Candidate[] = [
  { backend: 'cpu', packages: ['@tensorflow/tfjs-backend-cpu'] },
  { backend: 'wasm', packages: ['@tensorflow/tfjs-backend-wasm'] },
  { backend: 'tensorflow', packages: ['@tensorflow/tfjs-node'] },
  { backend: 'tensorflow', packages: ['@tensorflow/tfjs-node-gpu'] },
  { backend: 'webgpu', packages: ['@tensorflow/tfjs-backend-webgpu', 'webgpu'] },
];

/** The TensorFlow in the process. */
export interface TensorFlowFacts {
  version: string;
  /** Whether it computes on a GPU. */
  usesGpu: boolean;
}

/** What trying a candidate told. */
export interface Trial {
  backend: string;
  package: string;
  /** null if it is not installed. */
  version: string | null;
  works: boolean;
  /** Why it does not work, and what to do. */
  reason?: string;
  kernels?: Info['kernels'][string];
  webgpu?: WebGPUInfo;
  tensorflow?: TensorFlowFacts;
  /** With this TensorFlow. */
  native?: Info['native'];
}

/** The words of anything that was thrown: its first line, without the path of a require stack. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n')[0] ?? '';
}
