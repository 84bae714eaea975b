// SPDX-License-Identifier: Apache-2.0
/**
 * WebGPU in Node, through the npm package `webgpu` (Dawn): for the tests, the quickstart and the benchmarks.
 * Import nothing of tfjs' WebGPU backend before `provideWebGPU` has answered: it looks for navigator.gpu on import.
 */
import path from 'node:path';

import { create, globals } from 'webgpu';

import { findSwiftShader } from './setup/chromium.mjs';

/**
 * `software` is SwiftShader, which Chromium brings along: slow, and the same on every machine. `hardware` is what the
 * machine's driver offers. `auto` takes hardware where there is some.
 */
export type Adapter = 'software' | 'hardware' | 'auto';

const RTLD_NOW = 0x2;
const RTLD_NODELETE = 0x1000;

/** Drivers that compute on the CPU; Dawn marks most of them itself. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;

/**
 * Loads Chromium's copy of the Vulkan loader, which Dawn then finds by its name. Node complains that the library is no
 * add-on and closes it again; the flag keeps it in the process all the same.
 */
function loadVulkanOf(folder: string): void {
  const library = path.join(folder, 'libvulkan.so.1');
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_NODELETE);
  } catch {
    // Always thrown: see above. Where the file is missing Dawn uses the system's loader, or finds no adapter.
  }
}

/** Puts a fresh Dawn instance on globalThis.navigator and answers whether it has an adapter. */
async function install(flags: readonly string[]): Promise<GPUAdapter | null> {
  const gpu = create([...flags]);
  // Dawn dies when this object is collected, and navigator does not keep it on every version of Node.
  Object.assign(globalThis, globals, { dawn: gpu });
  if (!('navigator' in globalThis)) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  return gpu.requestAdapter({ powerPreference: 'high-performance' });
}

const nameOf = ({ info }: GPUAdapter) => info.architecture || info.description || info.vendor;

function isSoftware({ info }: GPUAdapter): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(`${info.architecture} ${info.description}`);
}

/** What a machine without a usable GPU needs, by its system. */
function remedy(): string {
  switch (process.platform) {
    case 'linux':
      return (
        "It needs the GPU's Vulkan driver and the Vulkan loader: on Debian and Ubuntu libvulkan1 with " +
        'mesa-vulkan-drivers (Intel, AMD) or the NVIDIA driver with its libnvidia-gl package; in a container ' +
        'also the devices (/dev/dri, or NVIDIA_DRIVER_CAPABILITIES=all). `vulkaninfo --summary` has to list the GPU.'
      );
    case 'darwin':
      return 'It needs Metal: macOS 11 or later, and a session that may use the GPU.';
    default:
      return "It needs a Direct3D 12 driver: install the GPU maker's current one.";
  }
}

/**
 * Gives Node a `navigator.gpu`. Leave the process with process.exit() at its end: Dawn's threads keep it alive.
 *
 * @param flags of Dawn, such as `disable-dawn-features=timestamp_quantization`
 * @returns the adapter's name, for example `swiftshader`
 * @throws Error if there is no adapter of that kind, with what to install
 */
export async function provideWebGPU(
  adapter: Adapter,
  flags: readonly string[] = [],
): Promise<string> {
  let found = adapter === 'software' ? null : await install(flags);
  if (adapter === 'hardware' && (found === null || isSoftware(found))) {
    const seen = found === null ? 'no adapter' : `only ${nameOf(found)}, which computes on the CPU`;
    throw new Error(`WebGPU found no GPU (${seen}). ${remedy()}`);
  }
  if (found === null) {
    const driver = await findSwiftShader();
    if (driver !== undefined) {
      process.env['VK_ICD_FILENAMES'] = driver;
      loadVulkanOf(path.dirname(driver));
      found = await install(flags);
    }
  }
  if (found === null) {
    throw new Error(
      'WebGPU found no adapter: install Chromium, whose software adapter serves (npm run setup).',
    );
  }
  return nameOf(found);
}
