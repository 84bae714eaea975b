// SPDX-License-Identifier: Apache-2.0
/** What is published works as it was installed, and says why where it does not. */
import { existsSync } from 'node:fs';
import { cp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import type { Info } from '../../src/index.js';
import { VERSION } from '../../src/version.js';
import { skip } from '../support/report.js';
import { UserFolder, command, isNative, isPackaged, platform } from './user_folder.js';

const platformPackage = `tfjs-xformers-${platform}`;

/** A user's program: one op, and all that this package says of itself. */
const PROGRAM = `
import * as tf from '@tensorflow/tfjs-node-gpu';
import { fusedLayerNorm, info } from 'tfjs-xformers/node';
const warnings = [];
console.warn = (text) => void warnings.push(text);
const values = [...fusedLayerNorm(tf.tensor2d([1, 3], [1, 2])).dataSync()];
await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify({ values, warnings, info: info() }));
`;

interface Told {
  values: number[];
  warnings: string[];
  info: Info;
}

interface Manifest {
  version: string;
  scripts?: object;
  devDependencies?: object;
  optionalDependencies?: Record<string, string>;
  addon?: { sha256: string };
}

describe('the published packages', function () {
  this.timeout(120_000);

  let user: UserFolder;
  let hasTensorFlow: boolean;
  const installed = (...names: string[]) => user.installed(...names);

  async function manifestOf(name: string): Promise<Manifest> {
    return JSON.parse(await readFile(installed(name, 'package.json'), 'utf8')) as Manifest;
  }

  function use(context: Mocha.Context, more: NodeJS.ProcessEnv = {}): Told {
    if (!hasTensorFlow) skip(context, '@tensorflow/tfjs-node-gpu does not run');
    const out = command(user.path, process.execPath, ['program.mjs'], more);
    const told = JSON.parse(out.trim().split('\n').at(-1)!) as Told;
    expect(told.values[1]).to.be.closeTo(1, 1e-4);
    return told;
  }

  /** Native kernels do not run: one warning, in the words of info(), and the ops are portable ones. */
  function expectPortable({ warnings, info }: Told, ...words: RegExp[]): void {
    expect(info.native.loaded).to.equal(false);
    expect(info.kernels['tensorflow']!['fusedLayerNorm']).to.equal('portable');
    for (const each of words) expect(info.native.reason).to.match(each);
    expect(warnings.length, warnings.join('\n')).to.equal(1);
    expect(warnings[0]).to.include(info.native.reason);
  }

  before(async () => {
    hasTensorFlow = await tensorFlowWorks();
    user = await UserFolder.make(['@tensorflow']);
    await writeFile(path.join(user.path, 'program.mjs'), PROGRAM);
  });
  after(() => user.remove());

  it('tfjs-xformers has modules, types and docs, and nothing that builds or runs on install', async () => {
    const files = await readdir(installed('tfjs-xformers'));
    expect(files.sort()).to.deep.equal(
      [
        ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'NOTICE', 'README.md', 'SECURITY.md'],
        ...['dist', 'docs', 'package.json'],
      ].sort(),
    );
    const bundle = ['tfjs-xformers.min.js', 'tfjs-xformers.webgpu.min.js'];
    for (const file of ['index.js', 'index.d.ts', 'node.js', 'node.d.ts', ...bundle]) {
      expect(existsSync(installed('tfjs-xformers', 'dist', file)), file).to.equal(true);
    }
    const manifest = await manifestOf('tfjs-xformers');
    expect(manifest).to.not.have.any.keys('scripts', 'devDependencies');
    expect(manifest.optionalDependencies).to.deep.equal({ 'tfjs-xformers-linux-x64': VERSION });
  });

  it('the platform package has the addon, of the same version, and no install script', async function () {
    if (!isNative) skip(this, 'the native library is not built');
    const files = await readdir(installed(platformPackage));
    const expected = ['LICENSE', 'README.md', 'package.json', 'tfjs_xformers.node'];
    expect(files.sort()).to.deep.equal(expected);
    const manifest = await manifestOf(platformPackage);
    expect(manifest.version).to.equal(VERSION);
    expect(manifest.addon?.sha256).to.match(/^[0-9a-f]{64}$/);
    expect(manifest).to.not.have.property('scripts');
  });

  it('native kernels run', function () {
    if (!isNative) skip(this, 'the native library is not built');
    const { warnings, info } = use(this);
    expect(warnings).to.deep.equal([]);
    expect(info.kernels['tensorflow']!['fusedLayerNorm']).to.equal('fused');
    expect(info.native.library).to.equal(installed(platformPackage, 'tfjs_xformers.node'));
    expect(info.native.tried.map(({ outcome }) => outcome)).to.deep.equal(['not built', 'loaded']);
  });

  it('TFJS_XFORMERS_NATIVE=off: portable kernels', function () {
    expectPortable(use(this, { TFJS_XFORMERS_NATIVE: 'off' }), /switched off/);
  });

  it('a file that is no addon: portable kernels, and how to mend it', function () {
    const told = use(this, { TFJS_XFORMERS_NATIVE: user.path });
    expectPortable(told, /cannot be read: EISDIR/, /Name a file that fits, or unset the variable/);
  });

  it('an addon that is cut off, changed or missing: portable kernels, and how to mend it', async function () {
    if (!isNative) skip(this, 'the native library is not built');
    const addon = installed(platformPackage, 'tfjs_xformers.node');
    const whole = path.join(user.scratch, 'whole.node');
    await cp(addon, whole);
    const mend = /rm -r .* && npm install$/;
    await truncate(addon, 100_000);
    expectPortable(use(this), /damaged: found 100000 bytes, expected \d+/, mend);
    const changed = await readFile(whole);
    changed[changed.length >> 1]! ^= 1;
    await writeFile(addon, changed);
    expectPortable(use(this), /damaged: found SHA-256 \w+, expected \w+/, mend);
    await rm(addon);
    expectPortable(use(this), /its addon is not/, mend);
    await cp(whole, addon);
  });

  it('a platform package of another version: portable kernels, and which to install', async function () {
    if (!isNative) skip(this, 'the native library is not built');
    const file = installed(platformPackage, 'package.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(VERSION, '0.0.9'));
    const install = new RegExp(`npm install ${platformPackage}@${VERSION}$`);
    expectPortable(use(this), /found version 0\.0\.9, expected/, install);
    await writeFile(file, text);
  });

  it('no platform package: portable kernels, and which to install', async function () {
    await rm(installed(platformPackage), { recursive: true, force: true });
    const told = use(this);
    const mend = isPackaged ? /npm install tfjs-xformers-[\w-]+@[\d.]+$/ : /build:native/;
    expectPortable(told, /not installed|there is none yet/, mend);
  });
});
