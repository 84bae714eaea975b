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
async function install(): Promise<GPUAdapter | null> {
  const gpu = create([]);
  // Dawn dies when this object is collected, and navigator does not keep it on every version of Node.
  Object.assign(globalThis, globals, { dawn: gpu });
  if (!('navigator' in globalThis)) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  return gpu.requestAdapter();
}

/**
 * Gives Node a `navigator.gpu`. Leave the process with process.exit() at its end: Dawn's threads keep it alive.
 *
 * @returns the adapter's name, for example `swiftshader`
 * @throws Error if there is no adapter, with what to install
 */
export async function provideWebGPU(adapter: Adapter): Promise<string> {
  let found = adapter === 'software' ? null : await install();
  if (found === null && adapter !== 'hardware') {
    const driver = await findSwiftShader();
    if (driver !== undefined) {
      process.env['VK_ICD_FILENAMES'] = driver;
      loadVulkanOf(path.dirname(driver));
      found = await install();
    }
  }
  if (found === null) {
    throw new Error(
      adapter === 'hardware'
        ? 'WebGPU found no GPU: a Vulkan, Metal or D3D12 driver is needed.'
        : 'WebGPU found no adapter: install Chromium, whose software adapter serves (npm run setup).',
    );
  }
  return found.info.architecture || found.info.description || found.info.vendor;
}
