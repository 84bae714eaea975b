// SPDX-License-Identifier: Apache-2.0
/**
 * Where the addon may be, in order: the file that TFJS_XFORMERS_NATIVE names, a build in this
 * checkout, the package of this platform, which npm installs as an optional dependency.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../version.js';
import type { NativeAttempt } from './state.js';

/** Loads CommonJS modules and addons, and resolves packages from here. */
export const require = createRequire(import.meta.url);

/** The folder of this package: two up from src/tensorflow and from dist/tensorflow. */
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

const FILE = 'tfjs_xformers.node';
export const PLATFORM = `${process.platform}-${process.arch}`;
/** Platforms that have a package; npm/ has a folder for each. */
const PACKAGED = ['linux-x64'];

export const PLATFORM_PACKAGE = `tfjs-xformers-${PLATFORM}`;
/** Name and version of the package that fits this one. */
export const EXPECTED_PACKAGE = `${PLATFORM_PACKAGE}@${VERSION}`;

/** A place to look at: the addon's file, or why there is none. */
export type Candidate = Pick<NativeAttempt, 'from' | 'path'> &
  ({ file: string } | { missing: string });

/** The variable's value: a file, 'off', or undefined. */
export function askedFor(): string | undefined {
  return process.env['TFJS_XFORMERS_NATIVE'] || undefined;
}

function fileCandidate(from: Candidate['from'], file: string, missing: string): Candidate {
  return existsSync(file) ? { from, path: file, file } : { from, path: file, missing };
}

function packageCandidate(): Candidate {
  const from = 'platform package';
  let manifest: string;
  try {
    manifest = require.resolve(`${PLATFORM_PACKAGE}/package.json`);
  } catch {
    const missing = PACKAGED.includes(PLATFORM) ? 'not installed' : 'there is none yet';
    return { from, path: PLATFORM_PACKAGE, missing };
  }
  const { version } = require(manifest) as { version: string };
  const file = path.join(path.dirname(manifest), FILE);
  if (version !== VERSION) {
    return { from, path: file, missing: `found version ${version}, expected ${VERSION}` };
  }
  return fileCandidate(from, file, 'the package is there, its addon is not');
}

/** All places, in the order in which they are tried. */
export function candidates(): Candidate[] {
  const asked = askedFor();
  if (asked) return [fileCandidate('TFJS_XFORMERS_NATIVE', path.resolve(asked), 'no such file')];
  const local = path.join(root, 'native/build', FILE);
  return [fileCandidate('local build', local, 'not built'), packageCandidate()];
}

/** What to do when no addon fits. */
export function mend(): string {
  if (existsSync(path.join(root, 'native/CMakeLists.txt'))) return 'Build it: npm run build:native';
  if (PACKAGED.includes(PLATFORM)) return `Install it: npm install ${EXPECTED_PACKAGE}`;
  return (
    `There is no package for ${PLATFORM} yet: run npm run build:native in a checkout of ` +
    'tfjs-xformers and name the file in the variable TFJS_XFORMERS_NATIVE'
  );
}
