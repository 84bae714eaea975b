// SPDX-License-Identifier: Apache-2.0
/** The one device that all providers of a run share, and what a table has to say about it. */
import { deviceFacts } from '../../src/webgpu/tuning.js';

const FEATURES = ['timestamp-query', 'bgra8unorm-storage', 'shader-f16', 'subgroups'] as const;

/** Those that any of the providers asks for. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

export interface OpenDevice {
  adapter: GPUAdapter;
  device: GPUDevice;
  software: boolean;
}

/**
 * On a software adapter without subgroups: onnxruntime-web's attention is wrong at the four lanes that
 * SwiftShader has, and nobody is faster with them there.
 */
export async function openDevice(): Promise<OpenDevice> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('WebGPU is there, but has no adapter');
  const { limits, features, info } = adapter;
  const { software } = deviceFacts({ limits, features, adapterInfo: info } as GPUDevice);
  const wanted = FEATURES.filter((name) => !(software && name === 'subgroups'));
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)),
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  });
  return { adapter, device, software };
}

/** Lines of a heading: what, value. */
export function describeDevice({ adapter, device, software }: OpenDevice): Record<string, string> {
  const { vendor, architecture, description } = adapter.info;
  const info = adapter.info as GPUAdapterInfo & {
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  };
  const sizes = `${info.subgroupMinSize ?? '?'} to ${info.subgroupMaxSize ?? '?'}`;
  return {
    adapter: [vendor, architecture, description].filter(Boolean).join(', '),
    'kind of adapter': software ? 'software' : 'hardware',
    features: [...device.features].sort().join(', '),
    'subgroup sizes': device.features.has('subgroups') ? sizes : `${sizes}, not used`,
    'largest buffer': `${(device.limits.maxBufferSize / 2 ** 30).toFixed(2)} GiB`,
    'workgroup memory': `${device.limits.maxComputeWorkgroupStorageSize} B`,
  };
}
