// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the bundle for script tags: dist/tfjs-xformers.min.js with the global `tfxf`, and the WebGPU part in a second
 * file that the first one loads when it is needed (src/script_tag/load_beside.ts).
 *
 * esbuild splits ES modules only. So it does that first, into the two files and a chunk of what both use; then each of
 * the two becomes a classic script. The chunk goes into the first, which hands its exports to the second as `shared`.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { build } from 'esbuild';

import { root } from './console.mjs';
import { wgslComments } from './wgsl_comments.mjs';

const FILES = {
  main: 'tfjs-xformers.min.js',
  webgpu: 'tfjs-xformers.webgpu.min.js',
};

/** @type {import('esbuild').BuildOptions} */
const COMMON = {
  bundle: true,
  minify: true,
  sourcemap: true,
  target: 'es2022',
  legalComments: 'none',
};

/**
 * Puts code in the place of modules.
 *
 * @param {RegExp} filter their names
 * @param {string} contents CommonJS
 * @returns {import('esbuild').Plugin}
 */
const replace = (filter, contents) => ({
  name: String(filter),
  setup(bundler) {
    const namespace = String(filter);
    bundler.onResolve({ filter }, ({ path: name }) => ({ path: name, namespace }));
    bundler.onLoad({ filter: /.*/, namespace }, () => ({ contents }));
  },
});

/** In a page with script tags, tfjs' packages are all one global: `tf`. */
const tfjsIsGlobal = replace(
  /^@tensorflow\/tfjs(-core|-layers)?$/,
  'module.exports = globalThis.tf;',
);

/** @param {string} version @returns {string} what opens the second file: see load_beside.ts */
const opening = (version) =>
  `globalThis[Symbol.for("tfjs-xformers.webgpu@${version}")]=function(shared){`;

/** @param {string} folder */
async function split(folder) {
  await build({
    ...COMMON,
    entryPoints: {
      main: path.join(root, 'src/script_tag/main.ts'),
      webgpu: path.join(root, 'src/webgpu/webgpu_kernels.ts'),
    },
    outdir: folder,
    splitting: true,
    format: 'esm',
    external: ['@tensorflow/*', 'tfjs-xformers:shared'],
    plugins: [wgslComments],
  });
  const names = await readdir(folder);
  const chunks = names.filter((name) => /^chunk-.*\.js$/.test(name));
  const [chunk] = chunks;
  if (chunk === undefined || chunks.length > 1) throw new Error(`chunks: ${chunks.join(', ')}`);
  return path.join(folder, chunk);
}

/**
 * @param {string} dist the folder of the two files
 * @param {string} version of this package
 * @returns {Promise<string[]>} their paths
 */
export async function buildScriptTag(dist, version) {
  const folder = path.join(root, '.cache/script_tag');
  await rm(folder, { recursive: true, force: true });
  const chunk = await split(folder);
  const banner = '/* tfjs-xformers, SPDX-License-Identifier: Apache-2.0 */';
  const outfiles = { main: path.join(dist, FILES.main), webgpu: path.join(dist, FILES.webgpu) };
  await build({
    ...COMMON,
    entryPoints: [path.join(folder, 'main.js')],
    outfile: outfiles.main,
    format: 'iife',
    globalName: 'tfxf',
    banner: { js: banner },
    alias: { 'tfjs-xformers:shared': chunk },
    plugins: [tfjsIsGlobal],
  });
  await build({
    ...COMMON,
    entryPoints: [path.join(folder, 'webgpu.js')],
    outfile: outfiles.webgpu,
    format: 'iife',
    globalName: 'part',
    banner: { js: `${banner}\n${opening(version)}` },
    footer: { js: 'return part};' },
    plugins: [tfjsIsGlobal, replace(/^\.\/chunk-/, 'module.exports = shared;')],
  });
  return Object.values(outfiles);
}
