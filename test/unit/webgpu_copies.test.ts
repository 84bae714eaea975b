// SPDX-License-Identifier: Apache-2.0
/**
 * Two copies of this package in one page, each with a file of WebGPU kernels that may or may not arrive. They are bundles
 * of the browser entry in a process of its own; a cpu backend stands for the one of WebGPU.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));

const PROGRAM = `
import * as tf from '@tensorflow/tfjs-core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
const warnings = [];
console.warn = (text) => warnings.push(text);
const copies = [await import('./first/entry.js'), await import('./second/entry.js')];
tf.registerBackend('webgpu', () => new MathBackendCPU(), 9);
await tf.setBackend('webgpu');
const [kernel, portable] = ['webgpu', 'cpu'].map((name) => tf.getKernel('FusedNorm', name).kernelFunc);
const told = [];
for (const copy of copies) {
  const reasons = copy.whyNotFused('fusedLayerNorm', [tf.zeros([1, 2])]);
  const failure = await copy.ready().then(() => null, ({ message }) => message);
  told.push({ reasons, failure });
}
const last = tf.getKernel('FusedNorm', 'webgpu').kernelFunc;
console.log(JSON.stringify({ isPortable: kernel === portable, isKept: kernel === last, told, warnings }));
`;

interface Told {
  isPortable: boolean;
  isKept: boolean;
  told: { reasons: string[]; failure: string | null }[];
  warnings: string[];
}

describe('two copies of the browser entry in one page', function () {
  this.timeout(240_000);

  let folder: string;
  before(async () => {
    await mkdir(path.join(root, '.cache'), { recursive: true });
    folder = await mkdtemp(path.join(root, '.cache/copies-'));
    await writeFile(path.join(folder, 'program.mjs'), PROGRAM);
  });
  after(() => rm(folder, { recursive: true }));

  /** What a page sees whose copies have their WebGPU part, or lack it; `versions` may differ. */
  async function pageWith(parts: [boolean, boolean], versions?: [string, string]): Promise<Told> {
    for (const [index, name] of ['first', 'second'].entries()) {
      const outdir = path.join(folder, name);
      await rm(outdir, { recursive: true, force: true });
      const version = JSON.stringify(versions?.[index] ?? '1.2.3');
      await build({
        entryPoints: { entry: path.join(root, 'src/index_browser.ts') },
        ...{ outdir, bundle: true, splitting: true, format: 'esm', external: ['@tensorflow/*'] },
        plugins: [
          {
            name: 'version',
            setup: (bundler) =>
              bundler.onLoad({ filter: /src\/version\.ts$/ }, () => ({
                contents: `export const VERSION = ${version};`,
              })),
          },
        ],
      });
      const files = await readdir(outdir);
      const part = files.filter((file) => file.startsWith('webgpu_kernels'));
      expect(part).to.have.lengthOf(1);
      if (!parts[index]) await rm(path.join(outdir, part[0]!));
    }
    const options = { cwd: root, encoding: 'utf8' } as const;
    const program = path.join(folder, 'program.mjs');
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], options);
    expect(status, stderr).to.equal(0);
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Told;
  }

  const works = { reasons: [], failure: null };

  it('share the kernels that came first', async () => {
    const { warnings, ...page } = await pageWith([true, true]);
    expect(page).to.deep.equal({ isPortable: false, isKept: true, told: [works, works] });
    expect(warnings.filter((text) => text.includes('already registered'))).to.deep.equal([]);
  });

  for (const [title, parts] of [
    ['first', [false, true]],
    ['second', [true, false]],
  ] as const) {
    it(`both have fused kernels where the ${title} one could not load its own`, async () => {
      const { told, isPortable } = await pageWith([...parts]);
      expect({ told, isPortable }).to.deep.equal({ told: [works, works], isPortable: false });
    });
    it(`so they have where the copies are of two versions (${title})`, async () => {
      const { told, isPortable } = await pageWith([...parts], ['1.2.3', '1.2.4']);
      expect({ told, isPortable }).to.deep.equal({ told: [works, works], isPortable: false });
    });
  }

  it('say so where neither could', async () => {
    const { told, isPortable } = await pageWith([false, false]);
    expect(isPortable).to.equal(true);
    for (const { reasons, failure } of told) {
      expect(reasons.join()).to.include('the WebGPU kernels could not be loaded');
      expect(failure).to.match(/^ready: the WebGPU kernels could not be loaded \(.*webgpu_kernels/);
    }
  });
});
