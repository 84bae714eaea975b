// SPDX-License-Identifier: Apache-2.0
/** The packed package in Vite, webpack and esbuild: pages compute an attention with the fused kernels of WebGPU. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { build as esbuild } from 'esbuild';
import webpack from 'webpack';
import { findChromium } from '../../scripts/setup/chromium.mjs';
import { skip } from '../support/report.js';
import { openPages } from './chromium_page.js';
import type { Serving } from './chromium_page.js';
import { LATE, PROGRAMS, expectFused, expectValues, slugOf } from './programs.js';
import type { Told } from './programs.js';
import { UserFolder, command, root } from './user_folder.js';

const all = { ...PROGRAMS, late: LATE };
const pageOf = (name: string) => `${slugOf(name)}.html`;

describe('the published package in a browser', function () {
  this.timeout(400_000);

  let user: UserFolder;
  const inUser = (...names: string[]) => path.join(user.path, ...names);
  const entries = (names: string[]) =>
    Object.fromEntries(names.map((name) => [slugOf(name), inUser(`${slugOf(name)}.js`)]));

  function open<T>(
    context: Mocha.Context,
    folder: string,
    names: string[],
    serving?: Serving,
  ): Promise<T[]> {
    if (findChromium() === undefined) skip(context, 'no Chromium');
    return openPages<T>(inUser(folder), names.map(pageOf), serving);
  }

  async function writePages(folder: string, names: string[]): Promise<void> {
    await mkdir(inUser(folder), { recursive: true });
    for (const name of names) {
      const script = `<script type="module" src="./${slugOf(name)}.js"></script>`;
      const text = `<!doctype html><title>${name}</title>\n${script}\n`;
      await writeFile(inUser(folder, pageOf(name)), text);
    }
  }

  async function expectToWork(context: Mocha.Context, folder: string, names: string[]) {
    for (const told of await open<Told>(context, folder, names)) expectFused(told);
  }

  async function buildWithEsbuild(names: string[], folder: string, splitting: boolean) {
    const { warnings } = await esbuild({
      entryPoints: entries(names),
      outdir: inUser(folder),
      bundle: true,
      minify: true,
      format: 'esm',
      splitting,
      logLevel: 'silent',
    });
    expect(warnings).to.deep.equal([]);
    await writePages(folder, names);
  }

  before(async () => {
    user = await UserFolder.make(['@tensorflow']);
    for (const [name, text] of Object.entries(all)) {
      await writeFile(inUser(`${slugOf(name)}.js`), text);
    }
  });
  after(() => user.remove());

  it('works with Vite', async function () {
    const names = Object.keys(PROGRAMS).slice(1, 3);
    await writePages('.', names);
    const input = names.map((name) => JSON.stringify(pageOf(name))).join(', ');
    await writeFile(
      inUser('vite.config.js'),
      `export default { build: { rollupOptions: { input: [${input}] } } };\n`,
    );
    // Its command, not its functions: they do not find its own modules under the loader of the tests.
    const vite = path.join(root, 'node_modules/vite/bin/vite.js');
    const options = ['--outDir', 'vite', '--target', 'esnext', '--logLevel', 'error'];
    command(user.path, process.execPath, [vite, 'build', ...options]);
    await expectToWork(this, 'vite', names);
  });

  it('works with webpack', async function () {
    const names = Object.keys(PROGRAMS).slice(1, 3);
    const compiler = webpack({
      mode: 'production',
      context: user.path,
      entry: entries(names),
      output: { path: inUser('webpack'), filename: '[name].js' },
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
    await writePages('webpack', names);
    await expectToWork(this, 'webpack', names);
  });

  it('works with esbuild', async function () {
    await buildWithEsbuild(Object.keys(all), 'esbuild', true);
    await expectToWork(this, 'esbuild', Object.keys(PROGRAMS));
  });

  it('works with esbuild where all has to be one file', async function () {
    const names = Object.keys(PROGRAMS).slice(1, 3);
    await buildWithEsbuild(names, 'whole', false);
    expect(await readdir(inUser('whole'))).to.have.length(2 * names.length);
    await expectToWork(this, 'whole', names);
  });

  it('computes, and says so, while the kernels are loaded for a backend that runs', async function () {
    type Report = [before: Told, after: Told, half: number[]];
    const [told] = await open<Report>(this, 'esbuild', ['late']);
    const [before, after, half] = told!;
    expectValues(before);
    expect(before.form).to.equal('portable');
    expect(before.reasons.join()).to.match(/still being loaded; `await ready\(\)`/);
    expect(before.warnings.length).to.equal(1);
    expect(before.warnings[0]).to.include(before.reasons[0]);
    expectValues(after);
    expect({ form: after.form, reasons: after.reasons }).to.deep.equal({
      form: 'fused',
      reasons: [],
    });
    expect(after.warnings).to.deep.equal(before.warnings);
    expect(half).to.deep.equal([1, 2, 3.140625]);
  });
});
