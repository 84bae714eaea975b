// SPDX-License-Identifier: Apache-2.0
/** The examples of README and docs that are for pages: opened in Chromium, with the files of this checkout. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { build } from 'esbuild';
import { buildScriptTag } from '../../scripts/script_tag.mjs';
import { findChromium } from '../../scripts/setup/chromium.mjs';
import { VERSION } from '../../src/version.js';
import { Chromium } from '../browser_app/chromium.js';
import { Page } from '../browser_app/page.js';
import { serve } from '../browser_app/serve.js';
import type { Served } from '../browser_app/serve.js';
import { skip } from '../support/report.js';
import { allBlocks } from './blocks.js';
import { SHAPES, writeCheckpoint } from './checkpoint.js';
import { allExamples, root, scratch } from './examples.js';

const blocks = await allBlocks('html');
const modules = (await allExamples()).filter(({ place }) => place === 'page');

/** Without one the browser asks for /favicon.ico, and notes that there is none. */
const ICON = '<link rel="icon" href="data:,">';

/** Keeps what the page logs. */
const KEEP_LOG = `globalThis.logged = [];
const { log } = console;
console.log = (...values) => (logged.push(values), log(...values));
`;

/** A checkpoint that a visitor has chosen, and tfjs' cpu backend: what a module takes for granted. */
const CHOSEN = `import '@tensorflow/tfjs-backend-cpu';
{
  const field = document.createElement('input');
  Object.assign(field, { type: 'file', multiple: true });
  document.body.append(field);
  const files = new DataTransfer();
  for (const name of ['config.json', 'model.safetensors']) {
    files.items.add(new File([await (await fetch(name)).blob()], name));
  }
  field.files = files.files;
}
`;

describe('the examples of README and docs for pages', function () {
  this.timeout(240_000);
  let folder: string;
  let served: Served;
  let chromium: Chromium;
  const inFolder = (...names: string[]) => path.join(folder, ...names);

  before(async function () {
    if (findChromium() === undefined) skip(this, 'no Chromium');
    folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-html-'));
    await mkdir(inFolder('dist'));
    await buildScriptTag(inFolder('dist'), VERSION);
    for (const [index, { code }] of blocks.entries()) {
      const head = `<!doctype html><html lang="en"><meta charset="utf-8"><title>test</title>${ICON}\n`;
      await writeFile(inFolder(`page${index}.html`), head + code);
    }
    const modulesPath = fileURLToPath(root);
    served = await serve({
      '': folder,
      'node_modules/': path.join(modulesPath, 'node_modules'),
      'node_modules/tfjs-xformers/dist/': inFolder('dist'),
    });
    chromium = await Chromium.start();
  });
  after(async () => {
    await chromium?.close();
    served?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  async function open(file: string): Promise<Page> {
    const page = await Page.open(chromium, KEEP_LOG);
    await page.goto(served.url + file);
    return page;
  }

  it('are there', () => {
    expect(blocks.length).to.be.at.least(2);
    expect(modules.length).to.be.at.least(1);
  });

  for (const [index, { at, code }] of blocks.entries()) {
    it(`${at}: computes on WebGPU`, async () => {
      const page = await open(`page${index}.html`);
      if (code.includes('console.log')) {
        await page.until('something is logged', 'logged.length > 0');
        const values = await page.evaluate<number[]>('[...logged[0][0]]');
        expect(values).to.have.lengthOf(4 * 256);
        expect(values.every(Number.isFinite)).to.equal(true);
      }
      // And whatever the block does, the global is there and its kernels serve.
      const told = await page.evaluate(`(async () => {
        await tfxf.ready();
        const reasons = tfxf.whyNotFused('fusedRMSNorm', [tf.ones([2, 8])]);
        const [value] = await tfxf.fusedRMSNorm(tf.fill([1, 2], 3)).data();
        return [tf.getBackend(), reasons, value.toFixed(4)];
      })()`);
      expect(told).to.deep.equal(['webgpu', [], '1.0000']);
      expect(page.errors).to.deep.equal([]);
      await page.close();
    });
  }

  for (const { at, code } of modules) {
    it(`${at}: loads what a visitor chose`, async () => {
      await writeCheckpoint(folder);
      // The imports of an example are relative to the folder that it is run in elsewhere.
      const resolveDir = fileURLToPath(scratch);
      await mkdir(resolveDir, { recursive: true });
      await build({
        stdin: { contents: CHOSEN + code, resolveDir, loader: 'ts' },
        ...{ bundle: true, format: 'esm', outfile: inFolder('module.js'), logLevel: 'error' },
      });
      const tag = '<script type="module" src="module.js"></script>';
      await writeFile(inFolder('module.html'), `<!doctype html><title>test</title>${ICON}${tag}`);
      const page = await open('module.html');
      const sizes = Object.values(SHAPES).map((shape) => shape.reduce((size, n) => size * n, 1));
      const parameters = sizes.reduce((sum, size) => sum + size, 0);
      const last = 'logged.at(-1)?.[0]';
      await page.until('the parameters are counted', `typeof ${last} === 'number'`);
      expect(await page.evaluate(last)).to.equal(parameters);
      expect(page.errors).to.deep.equal([]);
      await page.close();
    });
  }
});
