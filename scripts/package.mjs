// SPDX-License-Identifier: Apache-2.0
/**
 * Packs what is published, into .cache/packages: tfjs-xformers itself, and the platform package of this machine with
 * the native library in it.
 *
 *     npm run package [-- --no-native] [--prebuilt] [--to FOLDER]
 *
 * --prebuilt packs native/build as it is. The manifest of a platform package has the SHA-256 of its addon, so that a
 * damaged one is not loaded.
 *
 * Only the packed manifest names the platform packages as optional dependencies. In a checkout they would have to be on
 * the registry before `npm ci` could run; there the library is built instead. The platform packages are published
 * first (.github/workflows/release.yml).
 */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { note, root, run, step, tail } from './console.mjs';
import { buildNative } from './native/build.mjs';
import { glibcOf } from './native/glibc.mjs';
import { builtAddon } from './native/toolchain.mjs';

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} version
 * @property {string[]} files
 * @property {object} [scripts]
 * @property {object} [devDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {{sha256: string}} [addon] of a platform package
 * @property {{type: 'git', url: string}} [repository]
 */

const { values } = parseArgs({
  options: {
    native: { type: 'boolean', default: true },
    prebuilt: { type: 'boolean', default: false },
    to: { type: 'string', default: path.join(root, '.cache/packages') },
  },
  allowNegative: true,
});
const target = path.resolve(values.to);
const platforms = path.join(root, 'npm');
const here = `${process.platform}-${process.arch}`;

/** Told as it is, without a stack. */
class Refusal extends Error {}

/** @param {string} directory @returns {Promise<Manifest>} */
async function manifestOf(directory) {
  /** @type {Manifest} */
  const manifest = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8'));
  return manifest;
}

/**
 * Provenance says which repository built a package, and npm wants to read the same in its manifest. The workflow that
 * publishes knows it.
 *
 * @returns {Pick<Manifest, 'repository'>}
 */
function repository() {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  if (!server || !name) return {};
  return { repository: { type: 'git', url: `git+${server}/${name}.git` } };
}

/**
 * Packs a copy of the files that a package publishes.
 *
 * @param {string} source the package's folder
 * @param {Manifest} manifest as it is to be published
 * @param {string[]} more files beside those that it lists
 */
async function pack(source, manifest, more) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-'));
  try {
    for (const name of [...manifest.files, ...more]) {
      await cp(path.join(source, name), path.join(directory, name), { recursive: true });
    }
    const published = { ...manifest, ...repository() };
    await writeFile(
      path.join(directory, 'package.json'),
      `${JSON.stringify(published, null, 2)}\n`,
    );
    const args = ['pack', '--silent', '--pack-destination', target];
    const { code, output } = await run('npm', args, { cwd: directory, quiet: true });
    if (code !== 0) throw new Refusal(`npm could not pack ${manifest.name}:\n${tail(output)}`);
    note(path.relative(root, path.join(target, output.trim().split('\n').at(-1) ?? '')));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @param {string} version @returns {Promise<Manifest[]>} the manifests in npm/, all of this version */
async function platformManifests(version) {
  const folders = await readdir(platforms);
  const manifests = await Promise.all(
    folders.map((name) => manifestOf(path.join(platforms, name))),
  );
  const odd = manifests.find((manifest) => manifest.version !== version);
  if (odd) {
    throw new Refusal(`${odd.name} is of version ${odd.version}, tfjs-xformers of ${version}.`);
  }
  return manifests;
}

async function removeOldPackages() {
  for (const name of await readdir(target)) {
    if (/^tfjs-xformers-.*\.tgz$/.test(name)) await rm(path.join(target, name));
  }
}

async function packMain() {
  step('Package: tfjs-xformers');
  const built = await run(process.execPath, ['scripts/build.mjs']);
  if (built.code !== 0) throw new Refusal('The build failed.');
  const manifest = await manifestOf(root);
  const optional = await platformManifests(manifest.version);
  manifest.optionalDependencies = Object.fromEntries(
    optional.map(({ name, version }) => [name, version]),
  );
  // Of use in a checkout only.
  delete manifest.scripts;
  delete manifest.devDependencies;
  await pack(root, manifest, ['README.md', 'LICENSE']);
}

async function packNative() {
  step(`Package: the native library for ${here}`);
  const directory = path.join(platforms, here);
  if (!existsSync(directory)) {
    note(`there is no platform package for ${here}: npm/ has no folder for it`);
    return;
  }
  const problem = values.prebuilt ? undefined : await buildNative();
  if (problem !== undefined) throw new Refusal(problem);
  if (!existsSync(builtAddon)) throw new Refusal('It is not built: npm run build:native');
  const glibc = await glibcOf(builtAddon);
  if (glibc !== undefined) note(`the addon needs glibc ${glibc} or newer`);
  const addon = path.join(directory, path.basename(builtAddon));
  await cp(builtAddon, addon);
  const sha256 = createHash('sha256')
    .update(await readFile(addon))
    .digest('hex');
  const manifest = { ...(await manifestOf(directory)), addon: { sha256 } };
  await pack(directory, manifest, ['README.md', 'LICENSE']);
  await rm(addon);
}

try {
  await mkdir(target, { recursive: true });
  await removeOldPackages();
  await packMain();
  if (values.native) await packNative();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
