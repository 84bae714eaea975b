// SPDX-License-Identifier: Apache-2.0
/** Compiled pipelines, kept per device for as long as the device lives. */
import { sourceOf } from './program.js';
import type { Program } from './program.js';

interface DeviceCache {
  pipelines: Map<string, GPUComputePipeline>;
  layouts: Map<string, GPUPipelineLayout>;
}

const caches = new WeakMap<GPUDevice, DeviceCache>();

function cacheOf(device: GPUDevice): DeviceCache {
  let cache = caches.get(device);
  if (!cache) {
    cache = { pipelines: new Map(), layouts: new Map() };
    caches.set(device, cache);
  }
  return cache;
}

/** What tells programs apart: equal keys mean equal sources. */
export function cacheKey(program: Program): string {
  return `${program.name}:${program.workgroupSize}:${program.key}`;
}

function descriptor(
  device: GPUDevice,
  cache: DeviceCache,
  program: Program,
): GPUComputePipelineDescriptor {
  return {
    label: cacheKey(program),
    layout: layoutOf(device, cache, program),
    compute: { module: device.createShaderModule({ code: sourceOf(program) }), entryPoint: 'main' },
  };
}

/** An explicit layout, because 'auto' drops the bindings that a variant does not use. */
function layoutOf(device: GPUDevice, cache: DeviceCache, program: Program): GPUPipelineLayout {
  const signature = program.bindings.map(({ access }) => access).join();
  let layout = cache.layouts.get(signature);
  if (!layout) {
    const entries: GPUBindGroupLayoutEntry[] = program.bindings.map(({ access }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    }));
    entries.push({
      binding: entries.length,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: 'uniform' },
    });
    layout = device.createPipelineLayout({
      bindGroupLayouts: [device.createBindGroupLayout({ entries })],
    });
    cache.layouts.set(signature, layout);
  }
  return layout;
}

/** Without this a program that a driver refuses would run as nothing and leave zeros. */
async function tellFailure(scope: Promise<GPUError | null>, key: string): Promise<void> {
  const error = await scope;
  if (error) console.error(`tfjs-xformers: this device refuses ${key}: ${error.message}`);
}

/** The pipeline of a program; compiled at its first use on this device. */
export function compiledProgram(device: GPUDevice, program: Program): GPUComputePipeline {
  const cache = cacheOf(device);
  const key = cacheKey(program);
  let pipeline = cache.pipelines.get(key);
  if (!pipeline) {
    device.pushErrorScope('validation');
    pipeline = device.createComputePipeline(descriptor(device, cache, program));
    void tellFailure(device.popErrorScope(), key);
    cache.pipelines.set(key, pipeline);
  }
  return pipeline;
}

/** Compiles a program ahead of its first use, without blocking. */
export async function compileAhead(device: GPUDevice, program: Program): Promise<void> {
  const cache = cacheOf(device);
  const key = cacheKey(program);
  if (cache.pipelines.has(key)) return;
  const pipeline = await device.createComputePipelineAsync(descriptor(device, cache, program));
  if (!cache.pipelines.has(key)) cache.pipelines.set(key, pipeline);
}

/** The programs compiled on a device so far, as `name:workgroupSize:key`. */
export function compiledPrograms(device: GPUDevice): string[] {
  return [...cacheOf(device).pipelines.keys()];
}
