// SPDX-License-Identifier: Apache-2.0
/**
 * A folder with all that the benchmark needs besides Node: the harness with this package and tfjs in one file,
 * Dawn's add-on for some platforms, the peers, and a script that runs it. For machines with a GPU and without npm.
 */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findSwiftShader } from '../../scripts/setup/chromium.mjs';
import { PEER_FILES, findPeer } from './peers.js';
import type { PeerName } from './peers.js';

const PROGRAM = 'bench_webgpu.mjs';
const SCRIPT = 'bench.sh';
const VULKAN_LOADER = 'libvulkan.so.1';

/** CommonJS modules in the bundle ask for Node's own ones with require. */
const BANNER = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

async function bundleProgram(folder: string): Promise<void> {
  // Imported here, so that a bundle of this module goes without it.
  const { build } = await import('esbuild');
  await build({
    entryPoints: [here('../webgpu.ts')],
    outfile: path.join(folder, PROGRAM),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    mainFields: ['module', 'main'],
    // Neither formatting nor Chromium goes along.
    external: ['prettier', 'esbuild'],
    banner: { js: BANNER },
    logLevel: 'error',
  });
}

/** Where the package `webgpu`, now part of the bundle, looks for it: beside the program. */
function copyDawn(folder: string, platform: string): void {
  const from = path.join('node_modules', 'webgpu', 'dist', platform);
  if (!existsSync(from)) {
    throw new RangeError(`--platform is ${platform}, which the package webgpu has no build for`);
  }
  cpSync(from, path.join(folder, 'dist', platform), { recursive: true });
}

/** Chromium's copy of the Vulkan loader, for Linux machines without one of their own. */
async function copyVulkanLoader(folder: string): Promise<void> {
  const driver = await findSwiftShader();
  const loader = driver && path.join(path.dirname(driver), VULKAN_LOADER);
  if (!loader || !existsSync(loader)) {
    console.log('The bundle goes without a Vulkan loader: there is no Chromium to take it from');
    return;
  }
  cpSync(loader, path.join(folder, 'vulkan', VULKAN_LOADER));
}

/** @returns why the peer is not there; '' if it is */
function copyPeer(name: PeerName, peers: string, folder: string): string {
  const found = findPeer(name, peers);
  if (typeof found === 'string') return found;
  const root = path.join(path.resolve(peers), 'node_modules', name);
  for (const file of ['package.json', ...PEER_FILES[name]]) {
    cpSync(path.join(root, file), path.join(folder, 'peers', 'node_modules', name, file), {
      recursive: true,
    });
  }
  return '';
}

/**
 * @param folder is made if it is not there
 * @param platforms such as linux-x64 or win32-x64
 */
export async function makeBundle(
  folder: string,
  platforms: readonly string[],
  peers: string,
): Promise<void> {
  mkdirSync(path.join(folder, 'peers'), { recursive: true });
  for (const platform of platforms) copyDawn(folder, platform);
  for (const name of Object.keys(PEER_FILES) as PeerName[]) {
    const failure = copyPeer(name, peers, folder);
    if (failure) console.log(`The bundle goes without ${name}: ${failure}`);
  }
  const isForThisLinux =
    process.platform === 'linux' && platforms.includes(`linux-${process.arch}`);
  if (isForThisLinux) await copyVulkanLoader(folder);
  cpSync(here(SCRIPT), path.join(folder, SCRIPT));
  await bundleProgram(folder);
  console.log(
    `Made ${folder} for ${platforms.join(', ')}. There, with Node 20.19 or newer:\n` +
      `  sh ${SCRIPT}, or node ${PROGRAM} --adapter hardware`,
  );
}
