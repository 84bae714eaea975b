// SPDX-License-Identifier: Apache-2.0
import { run } from '../console.mjs';

/** @param {string} a @param {string} b */
function compareVersions(a, b) {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number));
  for (const [index, part] of (x ?? []).entries()) {
    const difference = part - (y?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return (x?.length ?? 0) - (y?.length ?? 0);
}

/**
 * The oldest glibc that has every symbol a library asks for.
 *
 * @param {string} file
 * @returns {Promise<string | undefined>} undefined where it is not a library for glibc, or objdump is not there
 */
export async function glibcOf(file) {
  const { output } = await run('objdump', ['-T', file], { quiet: true });
  const versions = [...output.matchAll(/GLIBC_([\d.]+)/g)].map(([, version]) => version ?? '');
  return versions.sort(compareVersions).at(-1);
}
