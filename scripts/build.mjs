// SPDX-License-Identifier: Apache-2.0
/** Builds dist: one ES module and its types for every source file, and one bundle for script tags (global `tfxf`). */
import { chmod, readFile, rm, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

import { note, root, run, step } from './console.mjs';

const dist = path.join(root, 'dist');
const bundle = path.join(dist, 'tfjs-xformers.min.js');

/**
 * In a page with script tags, tfjs' packages are all one global: `tf`.
 *
 * @type {import('esbuild').Plugin}
 */
const tfjsIsGlobal = {
  name: 'tfjs-is-global',
  setup(bundler) {
    bundler.onResolve({ filter: /^@tensorflow\/tfjs(-core|-layers)?$/ }, ({ path: name }) => ({
      path: name,
      namespace: 'tf',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'tf' }, () => ({
      contents: 'module.exports = globalThis.tf;',
    }));
  },
};

step('Build: modules and types');
await rm(dist, { recursive: true, force: true });
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
const { code } = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
if (code !== 0) process.exit(code);
const command = path.join(dist, 'cli/main.js');
if (existsSync(command)) await chmod(command, 0o755);

step('Build: script-tag bundle');
await build({
  entryPoints: [path.join(root, 'src/index.ts')],
  outfile: bundle,
  bundle: true,
  minify: true,
  sourcemap: true,
  format: 'iife',
  globalName: 'tfxf',
  target: 'es2022',
  legalComments: 'none',
  banner: { js: '/* tfjs-xformers, SPDX-License-Identifier: Apache-2.0 */' },
  plugins: [tfjsIsGlobal],
});
const { size } = await stat(bundle);
const zipped = gzipSync(await readFile(bundle)).length;
note(
  `${path.relative(root, bundle)}: ${(size / 1000).toFixed(1)} kB, gzipped ${(zipped / 1000).toFixed(1)} kB`,
);
