// SPDX-License-Identifier: Apache-2.0
/** What the native build needs of the machine: CMake, a C++ compiler, and Node-API's headers. */
import { existsSync } from 'node:fs';
import path from 'node:path';

import { root, run } from '../console.mjs';

/** Where CMake puts the addon. */
export const builtAddon = path.join(root, 'native/build/tfjs_xformers.node');

/** @param {string} command */
async function runs(command) {
  return (await run(command, ['--version'], { quiet: true })).code === 0;
}

/** @param {string[]} commands @returns {Promise<string | undefined>} the first that runs */
async function firstThatRuns(commands) {
  for (const command of commands) {
    if (await runs(command)) return command;
  }
  return undefined;
}

/** The npm package with node_api.h (in its include), so that nothing is downloaded. */
export function nodeApiHeaders() {
  return path.join(root, 'node_modules/node-api-headers');
}

/** The command that installs packages here, to be shown. @param {string} packages */
function installCommand(packages) {
  switch (process.platform) {
    case 'darwin':
      return 'xcode-select --install && brew install cmake';
    case 'win32':
      return 'winget install Kitware.CMake Microsoft.VisualStudio.2022.BuildTools';
    default:
      return `apt-get install ${packages}`;
  }
}

/**
 * @returns {Promise<string | undefined>} what is missing and the command that brings it; undefined if nothing is
 */
export async function missingTools() {
  /** @type {string[]} */
  const missing = [];
  if (!(await runs('cmake'))) missing.push('cmake');
  // On Windows CMake itself finds Visual Studio.
  if (process.platform !== 'win32') {
    const compilers = [process.env['CXX'], 'c++', 'g++', 'clang++'].filter(
      (name) => name !== undefined,
    );
    if ((await firstThatRuns(compilers)) === undefined) missing.push('g++');
    if ((await firstThatRuns(['ninja', 'make'])) === undefined) missing.push('make');
  }
  if (missing.length > 0) {
    return `The native library needs ${missing.join(' and ')}: ${installCommand(missing.join(' '))}`;
  }
  if (!existsSync(path.join(nodeApiHeaders(), 'include/node_api.h'))) {
    return 'node-api-headers is not installed: run `npm ci` first.';
  }
  return undefined;
}

/** The generator for CMake: Ninja where it is, its own choice elsewhere. @returns {Promise<string[]>} */
export async function generatorOptions() {
  return (await runs('ninja')) ? ['-G', 'Ninja'] : [];
}
