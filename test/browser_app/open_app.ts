// SPDX-License-Identifier: Apache-2.0
/** The page, built once by Vite for all tests of a process, and one Chromium for all of them. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';

import { Chromium } from './chromium.js';
import { Page } from './page.js';
import { serve } from './serve.js';
import type { Served } from './serve.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface App {
  folder: string;
  served: Served;
  chromium: Chromium;
}

let opening: Promise<App> | undefined;

async function build(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-app-'));
  // Its command, not its functions: they do not find its own modules under the loader of the tests.
  const vite = path.join(root, 'node_modules/vite/bin/vite.js');
  const options = ['--outDir', folder, '--emptyOutDir', '--logLevel', 'warn'];
  const args = [vite, 'build', 'examples/browser', ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    ...{ cwd: root, encoding: 'utf8' },
  });
  expect(status, `${stdout}\n${stderr}`).to.equal(0);
  // A warning is about something that will not work in a visitor's browser.
  expect(stdout + stderr).to.equal('');
  return folder;
}

function app(): Promise<App> {
  opening ??= (async () => {
    const folder = await build();
    // In a folder of the server, as on GitHub Pages: all addresses in it have to be relative.
    const served = await serve({ 'somewhere/': folder });
    return { folder, served, chromium: await Chromium.start() };
  })();
  return opening;
}

/** The page's address; pages of one address share what they save. */
export async function appUrl(): Promise<string> {
  return `${(await app()).served.url}somewhere/`;
}

export const STARTED = `document.querySelector('#device').getAttribute('aria-busy') === 'false'`;

/**
 * The page in a tab of its own, once it knows what computes.
 *
 * @param search what follows the address: "?seconds=0.1"
 * @param before a script that runs before the page's own
 */
export async function openApp(search = '', before = ''): Promise<Page> {
  const page = await Page.open((await app()).chromium, before);
  await page.emulate('light');
  await page.goto((await appUrl()) + search);
  await page.until('the page has started', STARTED);
  return page;
}

after(async () => {
  if (!opening) return;
  const { folder, served, chromium } = await opening;
  await chromium.close();
  served.close();
  await rm(folder, { recursive: true, force: true });
});
