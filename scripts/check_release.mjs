// SPDX-License-Identifier: Apache-2.0
/**
 * Whether this checkout can be released as a tag says: versions agree everywhere, and the changelog has the version
 * with a date.
 *
 *     node scripts/check_release.mjs v0.1.0
 */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { root } from './console.mjs';

/** @param {string} file */
const read = (file) => readFile(path.join(root, file), 'utf8');

/** @param {string} file */
async function versionIn(file) {
  /** @type {{version: string}} */
  const { version } = JSON.parse(await read(file));
  return version;
}

/**
 * @param {string} tag
 * @returns {Promise<string[]>} what does not fit; empty if all does
 */
export async function releaseProblems(tag) {
  const version = tag.replace(/^v/, '');
  const manifests = ['package.json', 'package-lock.json'];
  for (const name of await readdir(path.join(root, 'npm')))
    manifests.push(`npm/${name}/package.json`);
  const problems = [];
  for (const file of manifests) {
    const found = await versionIn(file);
    if (found !== version) problems.push(`${file} has version ${found}, the tag ${version}`);
  }
  if (!(await read('src/version.ts')).includes(`'${version}'`)) {
    problems.push(`src/version.ts is not ${version}`);
  }
  const heading = `## [${version}] - `;
  const line = (await read('CHANGELOG.md')).split('\n').find((each) => each.startsWith(heading));
  if (!line) problems.push(`CHANGELOG.md has no heading "${heading}<date>"`);
  else if (!/^\d{4}-\d\d-\d\d$/.test(line.slice(heading.length))) {
    problems.push(`CHANGELOG.md dates ${version} "${line.slice(heading.length)}", not with a day`);
  }
  return problems;
}

const [, script, tag] = process.argv;
if (script === path.join(root, 'scripts/check_release.mjs')) {
  const problems = await releaseProblems(tag ?? '');
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
