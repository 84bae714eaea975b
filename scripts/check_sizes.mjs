// SPDX-License-Identifier: Apache-2.0
/** Part of `npm run lint`: a file holds one idea. Over 350 lines it is two files. Prints the sizes of the folders. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { root } from './console.mjs';

const limit = 350;
const folders = ['src', 'test', 'native', 'benchmarks', 'examples', 'scripts'];
const extensions = new Set(['.ts', '.js', '.mjs', '.cc', '.h', '.cu', '.cuh', '.py']);
const exempt = [path.join('test', 'golden')];

let tooLong = 0;
for (const folder of folders) {
  let files = 0;
  let lines = 0;
  const entries = await readdir(path.join(root, folder), {
    recursive: true,
    withFileTypes: true,
  }).catch(() => []);
  for (const entry of entries) {
    const file = path.relative(root, path.join(entry.parentPath, entry.name));
    if (!entry.isFile() || !extensions.has(path.extname(entry.name))) continue;
    if (file.includes('node_modules') || exempt.some((name) => file.startsWith(name))) continue;
    const text = await readFile(path.join(root, file), 'utf8');
    const length = text.trimEnd().split('\n').length;
    files++;
    lines += length;
    if (length > limit) {
      tooLong++;
      console.error(`${file}: ${length} lines; ${limit} are allowed, so it should be two files`);
    }
  }
  if (files > 0) console.log(`${folder}: ${files} files, ${lines} lines`);
}
process.exit(tooLong > 0 ? 1 : 0);
