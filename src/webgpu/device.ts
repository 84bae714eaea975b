// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs' WebGPU backend on a device that has what the kernels can use.
 *
 * tfjs asks its adapter for two features and six limits; shader-f16, subgroups and more than eight
 * storage buffers a stage are never among them. Here tfjs' factory is replaced by one with a device
 * of ours. The backend class comes from the registered factory, so that nothing has to be imported:
 * tfjs' package stays an optional peer, and script tags work.
 */
import {
  engine,
  env,
  findBackendFactory,
  getBackend,
  registerBackend,
  removeBackend,
  setBackend,
} from '@tensorflow/tfjs-core';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { failure } from './failure.js';
import { MATRIX_FEATURE } from './matrix_tile.js';
import type { WebGPUOptions } from './register_backend.js';

const PRIORITY = 3;

/** What is asked for where the adapter has it. The first two are for tfjs, which asks for them itself. */
export const FEATURES = [
  'timestamp-query',
  'bgra8unorm-storage',
  'shader-f16',
  'subgroups',
] as const;

/** What is raised to the adapter's. The first six are those that tfjs raises. */
export const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxStorageBuffersPerShaderStage',
] as const;

/** tfjs' WebGPUBackend, as far as it is made and thrown away here. */
interface DeviceBackend extends KernelBackend {
  device: GPUDevice;
}
type BackendClass = new (device: GPUDevice, adapterInfo?: GPUAdapterInfo) => DeviceBackend;

/** The backend class behind each factory that this module has registered. */
const classes = new WeakMap<object, BackendClass>();

/** Devices of such factories, by every copy of this package in the page. They may be the user's own. */
const DEVICES = Symbol.for('tfjs-xformers.webgpu.devices');
const page = globalThis as { [DEVICES]?: WeakSet<GPUDevice> };
const registeredDevices = (page[DEVICES] ??= new WeakSet());

/** The factory of tfjs' backend, or of an earlier call. */
function registeredFactory(): () => unknown {
  // tfjs types the factory as always there; it is null where none is registered.
  const factory = findBackendFactory('webgpu') as (() => unknown) | null;
  if (!factory) {
    throw failure(
      "tfjs has no backend 'webgpu' registered",
      "Import '@tensorflow/tfjs-backend-webgpu' first (or its script tag); it registers itself only " +
        'where navigator.gpu exists when it is imported.',
    );
  }
  return factory;
}

/** The class of tfjs' backend: of the running one, or of one that the factory makes to be looked at. */
async function backendClass(): Promise<BackendClass> {
  const running = engine().registry['webgpu'];
  if (running) return running.constructor as BackendClass;
  const factory = registeredFactory();
  const known = classes.get(factory);
  if (known) return known;
  const made = factory();
  const probe = (await made) as DeviceBackend;
  probe.dispose();
  // tfjs' own factory is asynchronous and makes a device for each call. A synchronous one hands out a
  // device that somebody else holds; so does ours, which another copy of this package may have made asynchronous.
  if (made instanceof Promise && !registeredDevices.has(probe.device)) probe.device.destroy();
  return probe.constructor as BackendClass;
}

/** tfjs' own factory fails on a missing adapter with a message that helps nobody, so ask first. */
async function requestAdapter(powerPreference: GPUPowerPreference | undefined) {
  const lowPower = env().getBool('WEBGPU_USE_LOW_POWER_GPU');
  const adapter = await navigator.gpu.requestAdapter({
    powerPreference: powerPreference ?? (lowPower ? 'low-power' : 'high-performance'),
  });
  if (!adapter) throw noAdapter();
  return adapter;
}

async function requestDevice(adapter: GPUAdapter, subgroupMatrices: boolean | undefined) {
  const wanted: string[] = [...FEATURES, ...(subgroupMatrices ? [MATRIX_FEATURE] : [])];
  const limits = LIMITS.filter((name) => adapter.limits[name] !== undefined);
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  return { device, adapterInfo: adapter.info };
}

function noAdapter(): Error {
  return failure(
    'WebGPU is there, but has no adapter',
    'Chrome on Linux may need --enable-unsafe-webgpu; elsewhere update the graphics driver and ' +
      "look at chrome://gpu. Other backends work: tf.setBackend('webgl').",
  );
}

/** What registerWebGPUBackend does where there is WebGPU. */
export async function replaceBackend(options: WebGPUOptions): Promise<void> {
  if (!engine().registry['webgpu']) registeredFactory();
  const own = options.device;
  if (own) registeredDevices.add(own);
  const adapter = own ? null : await requestAdapter(options.powerPreference);
  const Backend = await backendClass();
  const { device, adapterInfo } = adapter
    ? await requestDevice(adapter, options.subgroupMatrices)
    : { device: own!, adapterInfo: own!.adapterInfo };
  registeredDevices.add(device);
  const wasCurrent = getBackend() === 'webgpu';
  const factory = () => new Backend(device, adapterInfo);
  classes.set(factory, Backend);
  removeBackend('webgpu');
  registerBackend('webgpu', factory, PRIORITY);
  if (wasCurrent) await setBackend('webgpu');
}
