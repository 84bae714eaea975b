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
import { damageOf } from './check_addon.js';
import type { NativeAttempt } from './state.js';

/** Reads manifests, and resolves packages from here. */
const require = createRequire(import.meta.url);

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
export type Candidate = Pick<NativeAttempt, 'from' | 'path'> & {
  /** What to do if this place has nothing that fits. */
  mend?: string;
} & ({ file: string } | { missing: string });

/** The variable's value: a file, 'off' (however it is written), or undefined. */
export function askedFor(): string | undefined {
  const value = process.env['TFJS_XFORMERS_NATIVE']?.trim() ?? '';
  return value.toLowerCase() === 'off' ? 'off' : value || undefined;
}

const INSTALL = `Install it: npm install ${EXPECTED_PACKAGE}`;
const BUILD_HERE = 'Build it: npm run build:native';
const BUILD_ELSEWHERE =
  'run npm run build:native in a checkout of tfjs-xformers and name the file in the variable ' +
  'TFJS_XFORMERS_NATIVE';
const isCheckout = existsSync(path.join(root, 'native/CMakeLists.txt'));

/** The command that brings a library where there is none. */
function usualMend(): string {
  if (isCheckout) return BUILD_HERE;
  if (PACKAGED.includes(PLATFORM)) return INSTALL;
  return `There is no package for ${PLATFORM} yet: ${BUILD_ELSEWHERE}`;
}

/** What is said where there is no such file. */
const ABSENT = {
  asked: 'no such file',
  built: 'not built',
  packaged: 'the package is there, its addon is not',
};

function lookAt(
  file: string,
  absent: string,
  sha256?: string,
): { file: string } | { missing: string } {
  const missing = existsSync(file) ? damageOf(file, sha256) : absent;
  return missing === undefined ? { file } : { missing };
}

function askedCandidate(asked: string): Candidate {
  const file = path.resolve(asked);
  const from = 'TFJS_XFORMERS_NATIVE';
  const mend = `Name a file that fits, or unset the variable. If there is no other library: ${usualMend()}`;
  return { from, path: file, mend, ...lookAt(file, ABSENT.asked) };
}

function localCandidate(): Candidate {
  const file = path.join(root, 'native/build', FILE);
  return {
    from: 'local build',
    path: file,
    // What is there counts as built, damaged or not.
    ...(isCheckout && { mend: existsSync(file) ? `${BUILD_HERE} -- --clean` : BUILD_HERE }),
    ...lookAt(file, ABSENT.built),
  };
}

/** What this package reads of its platform package's manifest. */
interface PlatformManifest {
  version: string;
  addon?: { sha256: string };
}

/** Null where the file is no manifest, as after an installation that was cut off. */
function readManifest(file: string): PlatformManifest | null {
  try {
    return require(file) as PlatformManifest | null;
  } catch {
    return null;
  }
}

/** The manifest's file; undefined where npm has not installed the package. Does not read it: it may be damaged. */
function findManifest(): string | undefined {
  return require.resolve
    .paths(PLATFORM_PACKAGE)
    ?.map((folder) => path.join(folder, PLATFORM_PACKAGE, 'package.json'))
    .find((file) => existsSync(file));
}

function packageCandidate(): Candidate {
  const from = 'platform package';
  const manifest = findManifest();
  if (manifest === undefined) {
    const missing = PACKAGED.includes(PLATFORM) ? 'not installed' : 'there is none yet';
    return { from, path: PLATFORM_PACKAGE, missing, mend: usualMend() };
  }
  const directory = path.dirname(manifest);
  const file = path.join(directory, FILE);
  // npm takes a package of the right version for a whole one.
  const again = `Install it anew: rm -r ${directory} && npm install`;
  const read = readManifest(manifest);
  if (typeof read?.version !== 'string') {
    return { from, path: file, missing: 'its package.json is damaged', mend: again };
  }
  const { version, addon } = read;
  if (version !== VERSION) {
    const missing = `found version ${version}, expected ${VERSION}`;
    return { from, path: file, missing, mend: INSTALL };
  }
  const looked = lookAt(file, ABSENT.packaged, addon?.sha256);
  const mend = 'missing' in looked ? again : `If nothing else helps, ${BUILD_ELSEWHERE}`;
  return { from, path: file, mend, ...looked };
}

/** All places, in the order in which they are tried. */
export function candidates(): Candidate[] {
  const asked = askedFor();
  return asked ? [askedCandidate(asked)] : [localCandidate(), packageCandidate()];
}

/** What to do when none of these fits. */
export function mendOf(places: readonly Candidate[]): string {
  return places.find(({ mend }) => mend !== undefined)?.mend ?? usualMend();
}
