// SPDX-License-Identifier: Apache-2.0
/** What a WebGPU device has beyond the least, and what each of it is good for here. */
import type { WebGPUInfo } from '../../../src/index.js';
import { byteWords, grouped } from '../page/words.js';

export interface FeatureLine {
  name: string;
  /** "yes", "no", or a limit. */
  has: string;
  brings: string;
}

const FEATURES: readonly [feature: string, brings: string][] = [
  [
    'subgroups',
    'Threads hand each other what they have read. On software adapters attention is about twice as fast with it; on GPUs the kernels share through workgroup memory instead.',
  ],
  [
    'shader-f16',
    'Half-precision arithmetic in shaders. This package asks for it and computes in float32 all the same: bfloat16 is how it stores, unpacked by integer operations that every device has.',
  ],
  ['timestamp-query', 'The device can time its own work: tf.time and tf.profile use it.'],
];

/** Heads of the attention that is measured on this page. */
function longestTable(bytes: number, heads: number): string {
  const tokens = Math.floor(Math.sqrt(bytes / 4 / heads));
  return `The largest single tensor. Plain attention of ${heads} heads keeps its table of scores in one, so it ends at ${grouped(tokens)} tokens; the fused kernel has no such table.`;
}

/** @param heads of the attention that the page measures */
export function featureLines({ features, limits }: WebGPUInfo, heads: number): FeatureLine[] {
  const limit = (name: string) => limits[name] ?? 0;
  const largest = Math.min(limit('maxStorageBufferBindingSize'), limit('maxBufferSize'));
  return [
    ...FEATURES.map(([name, brings]) => ({
      name,
      has: features.includes(name) ? 'yes' : 'no',
      brings,
    })),
    { name: 'largest buffer', has: byteWords(largest), brings: longestTable(largest, heads) },
    {
      name: 'workgroup memory',
      has: byteWords(limit('maxComputeWorkgroupStorageSize')),
      brings:
        'What the threads of a workgroup share. The more there is, the larger the tiles of keys and values that attention reads once.',
    },
    {
      name: 'threads to a workgroup',
      has: grouped(limit('maxComputeInvocationsPerWorkgroup')),
      brings: 'How many threads work on one tile of attention, or on one row of a norm.',
    },
    {
      name: 'buffers to a shader',
      has: grouped(limit('maxStorageBuffersPerShaderStage')),
      brings:
        'How many tensors one kernel can read and write; this package needs no more than eight.',
    },
  ];
}
