// SPDX-License-Identifier: Apache-2.0
/** What the published package adds to a page: gzipped, without tfjs, and without what is loaded later. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { build as esbuild } from 'esbuild';
import webpack from 'webpack';
import { UserFolder, command, root } from './user_folder.js';

/** Bytes, layers included. */
const LIMIT = 40_000;
/** Bytes of the WebGPU part: no promise, but growth should be noticed. */
const WEBGPU_LIMIT = 35_000;

const ALL = "import * as tfxf from 'tfjs-xformers';\nglobalThis.tfxf = tfxf;\n";
const zipped = (content: Uint8Array) => gzipSync(content).length;

interface Size {
  /** What is loaded at once. */
  entry: number;
  /** What is loaded with the WebGPU backend. */
  webgpu: number;
}

function expectSmall(context: Mocha.Context, { entry, webgpu }: Size): void {
  context.test!.title += `: ${entry} bytes, with WebGPU ${webgpu} more`;
  expect(entry).to.be.at.most(LIMIT);
  expect(webgpu).to.be.within(5_000, WEBGPU_LIMIT);
}

describe('the published package is small', function () {
  this.timeout(120_000);

  let user: UserFolder;
  const inUser = (...names: string[]) => path.join(user.path, ...names);

  before(async () => {
    user = await UserFolder.make(['@tensorflow']);
    await mkdir(inUser('src'));
    await writeFile(inUser('src/all.js'), ALL);
  });
  after(() => user.remove());

  /** Sizes of a folder with the files of a build, one of which is the entry. */
  async function sizeOf(folder: string, entry: RegExp): Promise<Size> {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.js'));
    const sizes = await Promise.all(
      names.map(async (name) => zipped(await readFile(path.join(folder, name)))),
    );
    const sum = (isEntry: boolean) =>
      sizes.reduce((total, size, i) => total + (entry.test(names[i]!) === isEntry ? size : 0), 0);
    return { entry: sum(true), webgpu: sum(false) };
  }

  /** What is left of the package in a program, as esbuild splits it. */
  async function leftOf(code: string) {
    const { outputFiles, metafile } = await esbuild({
      stdin: { contents: code, resolveDir: user.path },
      bundle: true,
      minify: true,
      splitting: true,
      format: 'esm',
      target: 'es2022',
      outdir: '/out',
      write: false,
      metafile: true,
      external: ['@tensorflow/*'],
    });
    const outputs = new Map(
      Object.entries(metafile.outputs).map(([file, output]) => [path.basename(file), output]),
    );
    const atOnce = new Set<string>();
    const visit = (name: string): void => {
      if (atOnce.has(name) || !outputs.has(name)) return;
      atOnce.add(name);
      for (const { path: file, kind } of outputs.get(name)!.imports) {
        if (kind === 'import-statement') visit(path.basename(file));
      }
    };
    visit('stdin.js');
    const sum = (wanted: boolean) =>
      outputFiles.reduce(
        (total, { path: file, contents }) =>
          total + (atOnce.has(path.basename(file)) === wanted ? zipped(contents) : 0),
        0,
      );
    const chunks = [...atOnce].map((name) => outputs.get(name)!);
    return {
      size: { entry: sum(true), webgpu: sum(false) },
      imports: new Set(
        chunks.flatMap(({ imports }) =>
          imports.flatMap(({ path: name, external }) => (external ? [name] : [])),
        ),
      ),
      modules: chunks.flatMap(({ inputs }) =>
        Object.entries(inputs).flatMap(([file, { bytesInOutput }]) =>
          bytesInOutput > 0 ? [file.replace(/^.*tfjs-xformers\/dist\//, '')] : [],
        ),
      ),
    };
  }

  it('with esbuild', async function () {
    expectSmall(this, (await leftOf(ALL)).size);
  });

  it('with Vite', async function () {
    const options = { input: 'src/all.js', output: { entryFileNames: 'assets/[name].js' } };
    const rollupOptions = JSON.stringify(options).replace('{', '{external: /^@tensorflow/,');
    await writeFile(
      inUser('vite.config.js'),
      `export default { build: { outDir: 'vite', rollupOptions: ${rollupOptions} } };\n`,
    );
    const vite = path.join(root, 'node_modules/vite/bin/vite.js');
    command(user.path, process.execPath, [vite, 'build', '--logLevel', 'error']);
    expectSmall(this, await sizeOf(inUser('vite/assets'), /^all/));
  });

  it('with webpack', async function () {
    const compiler = webpack({
      mode: 'production',
      context: user.path,
      entry: './src/all.js',
      output: { path: inUser('webpack'), filename: 'all.js', module: true },
      externals: /^@tensorflow/,
      externalsType: 'module',
      experiments: { outputModule: true },
    });
    await new Promise<void>((resolve, reject) => {
      compiler.run((error, stats) => {
        if (error ?? stats?.hasErrors()) reject(error ?? new Error(stats!.toString('errors-only')));
        else resolve();
      });
    });
    expectSmall(this, await sizeOf(inUser('webpack'), /^all/));
  });

  it('with script tags', async function () {
    const dist = user.installed('tfjs-xformers/dist');
    const sizes = ['tfjs-xformers.min.js', 'tfjs-xformers.webgpu.min.js'].map(async (name) =>
      zipped(await readFile(path.join(dist, name))),
    );
    const [entry, webgpu] = (await Promise.all(sizes)) as [number, number];
    expectSmall(this, { entry, webgpu });
  });

  it('ops alone bring neither the layers nor tfjs-layers', async () => {
    const all = await leftOf(ALL);
    const one = await leftOf("import { fusedLayerNorm as f } from 'tfjs-xformers'; f();");
    expect([...all.imports].sort()).to.deep.equal([
      '@tensorflow/tfjs-core',
      '@tensorflow/tfjs-layers',
    ]);
    expect([...one.imports]).to.deep.equal(['@tensorflow/tfjs-core']);
    expect(one.modules.filter((file) => file.startsWith('layers/'))).to.deep.equal([]);
    expect(one.modules).to.not.include('webgpu/warmup.js');
    expect(one.modules).to.not.include('info.js');
    // The kernels are there, for every backend: which one runs is not known when a bundle is made.
    expect(one.modules).to.include.members(['register_browser.js', 'portable/fused_norm.js']);
    expect(one.size.entry).to.be.below(all.size.entry * 0.75);
  });

  it("'tfjs-xformers/layers' brings all layer classes, even if nothing is named", async () => {
    const { modules } = await leftOf("import 'tfjs-xformers/layers';");
    expect(modules).to.include.members(['layers/qk_norm_attention.js', 'register_browser.js']);
  });
});
