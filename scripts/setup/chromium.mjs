// SPDX-License-Identifier: Apache-2.0
/**
 * Finds Chromium, or installs Debian's package. The browser tests run in it, and its software Vulkan driver
 * (SwiftShader) serves WebGPU in Node on machines that have no GPU.
 */
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';

import { note, run, tail } from '../console.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const places = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const aptGet = '/usr/bin/apt-get';
const driverFile = 'vk_swiftshader_icd.json';
const driverFolders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];

/** How Chromium is started without a window, with WebGPU, and without calls to anywhere. */
export const headlessFlags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
];
/** And with WebGL and WebGPU on the processor. */
export const softwareFlags = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader'];

/** @returns {string | undefined} the path of a Chromium or Chrome; CHROME_BIN goes first. */
export function findChromium() {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const candidates = [
    ...names.flatMap((name) => folders.map((folder) => path.join(folder, name))),
    ...places,
  ];
  const wanted = process.env['CHROME_BIN'];
  if (wanted) candidates.unshift(wanted);
  return candidates.find((file) => existsSync(file));
}

/** @returns {Promise<string | undefined>} the path of SwiftShader's Vulkan manifest, which Chromium brings along */
export async function findSwiftShader() {
  const folders = [...driverFolders];
  const chromium = findChromium();
  if (chromium !== undefined) folders.unshift(path.dirname(await realpath(chromium)));
  return folders.map((folder) => path.join(folder, driverFile)).find((file) => existsSync(file));
}

/**
 * Makes sure that there is a Chromium; does nothing where there is one.
 *
 * @returns {Promise<string | undefined>} undefined, or what to do
 */
export async function setupChromium() {
  const found = findChromium();
  if (found !== undefined) {
    note(`Chromium is ${found}`);
    return undefined;
  }
  const missing =
    'No Chromium or Chrome was found, so the browser tests cannot run. Install one (on Debian: ' +
    'apt-get install chromium) or set CHROME_BIN to its path, then run `npm run setup`.';
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !existsSync(aptGet)) {
    return missing;
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  note("installing Debian's package chromium");
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    const { code, output } = await run(aptGet, args, { env, quiet: true });
    if (code !== 0) {
      return `${missing}\n  apt-get ${args.join(' ')}:\n${tail(output)}`;
    }
  }
  const installed = findChromium();
  if (installed === undefined) return missing;
  note(`Chromium is ${installed}`);
  return undefined;
}
