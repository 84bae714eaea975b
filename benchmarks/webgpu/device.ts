// SPDX-License-Identifier: Apache-2.0
/** The one device that all providers of a run share, and what a table has to say about it. */
import { FEATURES, LIMITS } from '../../src/webgpu/device.js';
import { MATRIX_FEATURE } from '../../src/webgpu/matrix_tile.js';
import { deviceFacts } from '../../src/webgpu/tuning.js';
import type { Request } from './protocol.js';

export interface OpenDevice {
  adapter: GPUAdapter;
  device: GPUDevice;
  software: boolean;
}

/**
 * With all that registerWebGPUBackend asks for.
 * @param request `subgroups` is false for a software adapter without them: attention of this package takes twice the
 *   time then, but onnxruntime-web's is wrong at the four lanes of SwiftShader.
 */
export async function openDevice({
  subgroups,
  matrices,
}: Pick<Request, 'subgroups' | 'matrices'>): Promise<OpenDevice> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('WebGPU is there, but has no adapter');
  const { limits, info } = adapter;
  const seen = { limits, features: adapter.features, adapterInfo: info };
  const { software } = deviceFacts(seen as GPUDevice);
  const features: string[] = [...FEATURES, ...(matrices ? [MATRIX_FEATURE] : [])];
  const wanted = features.filter((name) => subgroups || !software || name !== 'subgroups');
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)) as GPUFeatureName[],
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
  const products = deviceFacts(device).matrices.map(
    ({ rows, columns, inner, component }) => `${rows} x ${columns} x ${inner} ${component}`,
  );
  const sizes = `${info.subgroupMinSize ?? '?'} to ${info.subgroupMaxSize ?? '?'}`;
  return {
    adapter: [vendor, architecture, description].filter(Boolean).join(', '),
    'kind of adapter': software ? 'software' : 'hardware',
    features: [...device.features].sort().join(', '),
    'subgroup sizes': device.features.has('subgroups') ? sizes : `${sizes}, not used`,
    'subgroup matrices': products.join(', ') || 'none',
    'largest buffer': `${(device.limits.maxBufferSize / 2 ** 30).toFixed(2)} GiB`,
    'workgroup memory': `${device.limits.maxComputeWorkgroupStorageSize} B`,
  };
}
