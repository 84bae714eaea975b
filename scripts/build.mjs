// SPDX-License-Identifier: Apache-2.0
/** Builds dist: one ES module and its types for every source file, and the bundle for script tags (global `tfxf`). */
import { chmod, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { note, root, run, step } from './console.mjs';
import { buildScriptTag } from './script_tag.mjs';
import { removeWgslComments } from './wgsl_comments.mjs';

const dist = path.join(root, 'dist');

/** @returns {Promise<string>} */
async function version() {
  /** @type {{version: string}} */
  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  return manifest.version;
}

step('Build: modules and types');
await rm(dist, { recursive: true, force: true });
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
const { code } = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
if (code !== 0) process.exit(code);
const command = path.join(dist, 'cli/main.js');
if (existsSync(command)) await chmod(command, 0o755);
await removeWgslComments(dist);

step('Build: script-tag bundle');
for (const file of await buildScriptTag(dist, await version())) {
  const content = await readFile(file);
  const [size, zipped] = [content, gzipSync(content)].map(({ length }) =>
    (length / 1000).toFixed(1),
  );
  note(`${path.relative(root, file)}: ${size} kB, gzipped ${zipped} kB`);
}
