// SPDX-License-Identifier: Apache-2.0
/** The packed package in Vite, webpack, esbuild and with script tags: each computes an attention on WebGPU. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { build as esbuild } from 'esbuild';
import type { Metafile } from 'esbuild';
import webpack from 'webpack';
import { findChromium } from '../../scripts/setup/chromium.mjs';
import { skip } from '../support/report.js';
import { REPORT, openPage } from './chromium_page.js';
import { UserFolder, command, root } from './user_folder.js';

interface Told {
  backend: string;
  form: string;
  values: number[];
}

/** Two keys with scores 0 and ln 3, values 0 and 8: weights 1/4 and 3/4, so 6. */
const COMPUTE = `
const shape = [1, 2, 1, 1];
const [q, k, v] = [[1, 1], [0, Math.log(3)], [0, 8]].map((x) => tf.tensor4d(x, shape));
const values = [...(await tfxf.memoryEfficientAttention(q, k, v).data())];
const form = tfxf.info().kernels.webgpu.memoryEfficientAttention;
await report({ backend: tf.getBackend(), form, values });
`;

const PROGRAM = `
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import * as tfxf from 'tfjs-xformers';
${REPORT}
await tfxf.registerWebGPUBackend();
await tf.setBackend('webgpu');
${COMPUTE}`;

const page = (scripts: string) => `<!doctype html><title>test</title>\n${scripts}\n`;
const MODULE_PAGE = page('<script type="module" src="./program.js"></script>');
const TAGS = ['tf.min.js', 'tf-backend-webgpu.min.js', 'tfjs-xformers.min.js'];
const SCRIPT_PAGE = page(
  [
    ...TAGS.map((name) => `<script src="${name}"></script>`),
    `<script>${REPORT}(async () => {\nawait tf.setBackend('webgpu');\n${COMPUTE}})();</script>`,
  ].join('\n'),
);

describe('the published package in a browser', function () {
  this.timeout(240_000);

  let user: UserFolder;
  const inUser = (...names: string[]) => path.join(user.path, ...names);

  async function expectToWork(context: Mocha.Context, folder: string): Promise<void> {
    if (findChromium() === undefined) skip(context, 'no Chromium');
    const { backend, form, values } = await openPage<Told>(inUser(folder), 'index.html');
    expect({ backend, form }).to.deep.equal({ backend: 'webgpu', form: 'fused' });
    expect(values.length).to.equal(2);
    for (const value of values) expect(value).to.be.closeTo(6, 1e-4);
  }

  before(async () => {
    user = await UserFolder.make(['@tensorflow']);
    await writeFile(inUser('program.js'), PROGRAM);
    await writeFile(inUser('index.html'), MODULE_PAGE);
    for (const name of ['webpack', 'esbuild', 'tags']) await mkdir(inUser(name));
  });
  after(() => user.remove());

  it('works with Vite', async function () {
    // Its command, not its functions: they do not find its own modules under the loader of the tests.
    const vite = path.join(root, 'node_modules/vite/bin/vite.js');
    const options = ['--outDir', 'vite', '--target', 'esnext', '--logLevel', 'error'];
    command(user.path, process.execPath, [vite, 'build', ...options]);
    await expectToWork(this, 'vite');
  });

  it('works with webpack', async function () {
    const compiler = webpack({
      mode: 'production',
      context: user.path,
      entry: './program.js',
      output: { path: inUser('webpack'), filename: 'program.js' },
      performance: { hints: false },
      // Most of the time would go into making tfjs smaller.
      optimization: { minimize: false },
    });
    const stats = await new Promise<webpack.Stats>((resolve, reject) => {
      compiler.run((error, result) => (error ? reject(error) : resolve(result!)));
    });
    expect(stats.hasErrors() || stats.hasWarnings(), stats.toString('errors-warnings')).to.equal(
      false,
    );
    await writeFile(inUser('webpack/index.html'), MODULE_PAGE);
    await expectToWork(this, 'webpack');
  });

  it('works with esbuild', async function () {
    const { warnings } = await esbuild({
      entryPoints: [inUser('program.js')],
      outfile: inUser('esbuild/program.js'),
      bundle: true,
      minify: true,
      format: 'esm',
      logLevel: 'silent',
    });
    expect(warnings).to.deep.equal([]);
    await writeFile(inUser('esbuild/index.html'), MODULE_PAGE);
    await expectToWork(this, 'esbuild');
  });

  it('works with script tags', async function () {
    const tfjs = (name: string) => path.join(root, 'node_modules/@tensorflow', name);
    const files = [
      tfjs('tfjs/dist/tf.min.js'),
      tfjs('tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js'),
      user.installed('tfjs-xformers/dist/tfjs-xformers.min.js'),
    ];
    for (const [index, file] of files.entries()) await cp(file, inUser('tags', TAGS[index]!));
    await writeFile(inUser('tags/index.html'), SCRIPT_PAGE);
    await expectToWork(this, 'tags');
  });

  describe('is small', () => {
    /** What is left of the package, without tfjs, in a program; and what it still imports. */
    async function leftOf(code: string) {
      const { outputFiles, metafile } = await esbuild({
        stdin: { contents: code, resolveDir: user.path },
        bundle: true,
        minify: true,
        format: 'esm',
        target: 'es2022',
        write: false,
        metafile: true,
        external: ['@tensorflow/*'],
      });
      const [output] = Object.values(metafile.outputs) as [Metafile['outputs'][string]];
      return {
        bytes: gzipSync(outputFiles[0]!.contents).length,
        imports: new Set(output.imports.map(({ path: name }) => name)),
        modules: Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) =>
          bytesInOutput > 0 ? [file.replace(/^.*tfjs-xformers\/dist\//, '')] : [],
        ),
      };
    }

    it('all of it, layers included, is at most 60 kB gzipped', async () => {
      const all = await leftOf("export * from 'tfjs-xformers';");
      const bundle = await readFile(user.installed('tfjs-xformers/dist/tfjs-xformers.min.js'));
      for (const bytes of [all.bytes, gzipSync(bundle).length]) expect(bytes).to.be.below(60_000);
    });

    it('ops alone bring neither the layers nor tfjs-layers', async () => {
      const all = await leftOf("export * from 'tfjs-xformers';");
      const one = await leftOf("import { fusedLayerNorm as f } from 'tfjs-xformers'; f();");
      expect([...all.imports].sort()).to.deep.equal([
        '@tensorflow/tfjs-core',
        '@tensorflow/tfjs-layers',
      ]);
      expect([...one.imports]).to.deep.equal(['@tensorflow/tfjs-core']);
      expect(one.modules.filter((file) => file.startsWith('layers/'))).to.deep.equal([]);
      expect(one.modules).to.not.include.members(['webgpu/warmup.js', 'info.js']);
      // The kernels are there, for every backend: which one runs is not known when a bundle is made.
      expect(one.modules).to.include.members(['register.js', 'portable/fused_norm.js']);
      expect(one.bytes).to.be.below(all.bytes * 0.85);
    });

    it("'tfjs-xformers/layers' brings all layer classes, even if nothing is named", async () => {
      const { modules } = await leftOf("import 'tfjs-xformers/layers';");
      expect(modules).to.include.members(['layers/qk_norm_attention.js', 'register.js']);
    });
  });
});
