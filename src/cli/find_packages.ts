// SPDX-License-Identifier: Apache-2.0
/** Finds the tfjs packages that a user has, wherever this command itself lies (npx keeps it elsewhere). */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Packages are looked up from the user's folder first, then from where this package lies. */
const fromUser = createRequire(path.join(process.cwd(), 'package.json'));
const fromHere = createRequire(import.meta.url);

function lookUp(name: string, places: readonly NodeJS.Require[]): string | null {
  for (const require of places) {
    try {
      return require.resolve(name);
    } catch {
      // Not there: the next place may have it.
    }
  }
  return null;
}

/** Backends that `@tensorflow/tfjs` brings, where a package manager keeps them out of reach of others. */
function fromTfjs(): NodeJS.Require[] {
  const tfjs = lookUp('@tensorflow/tfjs/package.json', [fromUser, fromHere]);
  return tfjs === null ? [] : [createRequire(tfjs)];
}

/** The file that importing a package loads; null if it is not installed. */
function resolvePackage(name: string): string | null {
  return lookUp(name, [fromUser, fromHere, ...fromTfjs()]);
}

/** The version of an installed package; null if it is not installed. */
export function versionOf(name: string): string | null {
  const file = resolvePackage(`${name}/package.json`);
  return file && (fromHere(file) as { version: string }).version;
}

/** Those of some packages that are not installed. */
export function missingOf(names: readonly string[]): string[] {
  return names.filter((name) => resolvePackage(name) === null);
}

/** @throws Error with the command that installs all of them that are missing */
export function checkInstalled(names: readonly string[]): void {
  const missing = missingOf(names);
  if (missing.length === 0) return;
  const verb = missing.length === 1 ? 'is' : 'are';
  throw new Error(
    `${missing.join(' and ')} ${verb} not installed: npm install ${missing.join(' ')}`,
  );
}

/** Imports a package of the user that checkInstalled has found. */
export async function loadPackage(name: string): Promise<unknown> {
  return import(pathToFileURL(resolvePackage(name)!).href);
}
