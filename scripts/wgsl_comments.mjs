// SPDX-License-Identifier: Apache-2.0
/** Comments in shaders are for readers of the source: in a bundle they are text like all the rest, and every page would load them. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Where modules with WGSL lie; line comments of theirs in TypeScript go, too. */
const FOLDERS = ['webgpu/programs', 'webgpu/wgsl'];

/** `//`, a blank and words, to a line's end. Lines stay, for the source maps. Directives (`//#`) have no blank. */
const COMMENT = /(^|[ \t]+)\/\/ .*$/gm;

/** @param {string} code */
const withoutComments = (code) => code.replaceAll(COMMENT, '');

/** From the modules of a build. @param {string} dist */
export async function removeWgslComments(dist) {
  for (const folder of FOLDERS) {
    for (const name of await readdir(path.join(dist, folder))) {
      if (!name.endsWith('.js')) continue;
      const file = path.join(dist, folder, name);
      await writeFile(file, withoutComments(await readFile(file, 'utf8')));
    }
  }
}

/** From the sources that esbuild bundles. @type {import('esbuild').Plugin} */
export const wgslComments = {
  name: 'wgsl comments',
  setup(build) {
    const filter = /[\\/]webgpu[\\/](programs|wgsl)[\\/]\w+\.ts$/;
    build.onLoad({ filter }, async ({ path: file }) => ({
      contents: withoutComments(await readFile(file, 'utf8')),
      loader: 'ts',
    }));
  },
};
