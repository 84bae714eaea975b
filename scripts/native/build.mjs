// SPDX-License-Identifier: Apache-2.0
/** Configures and builds native/ with CMake. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { note, root, run, seconds, tail } from '../console.mjs';
import { generatorOptions, missingTools, nodeApiHeaders } from './toolchain.mjs';

/**
 * @typedef {object} BuildOptions
 * @property {boolean} [tests] also builds the unit tests of native/tests and runs them
 * @property {boolean} [clean] removes the folder first
 * @property {boolean} [quiet] shows the output of a step only if it fails
 * @property {number} [jobs]
 */

/**
 * @param {BuildOptions} [options]
 * @returns {Promise<string | undefined>} what went wrong and what to do; undefined if all is built
 */
export async function buildNative(options = {}) {
  const { tests = false, clean = false, quiet = false, jobs } = options;
  const problem = await missingTools();
  if (problem !== undefined) return problem;
  const start = performance.now();
  const directory = path.join(root, 'native/build');
  if (clean) await rm(directory, { recursive: true, force: true });
  const fresh = !existsSync(path.join(directory, 'CMakeCache.txt'));
  const parallel = String(jobs ?? os.availableParallelism());
  /** @type {[what: string, command: string, args: string[]][]} */
  const steps = [
    [
      'CMake could not configure native/',
      'cmake',
      [
        ...['-S', path.join(root, 'native'), '-B', directory],
        ...(fresh ? [...(await generatorOptions()), '-DCMAKE_BUILD_TYPE=Release'] : []),
        `-DNODE_API_HEADERS=${nodeApiHeaders()}`,
        `-DTFXF_TESTS=${tests ? 'ON' : 'OFF'}`,
      ],
    ],
    [
      'the native library did not compile',
      'cmake',
      ['--build', directory, '--config', 'Release', '--parallel', parallel],
    ],
  ];
  if (tests) {
    const ctest = ['--test-dir', directory, '-C', 'Release', '--output-on-failure'];
    steps.push(['native unit tests failed', 'ctest', ctest]);
  }
  for (const [what, command, args] of steps) {
    const { code, output } = await run(command, args, { quiet });
    if (code !== 0) return quiet ? `${what}:\n${tail(output, 30)}` : `${what}; see above.`;
  }
  const took = seconds(performance.now() - start);
  note(`${path.relative(root, directory)} is up to date (${took})`);
  return undefined;
}
