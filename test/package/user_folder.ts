// SPDX-License-Identifier: Apache-2.0
/**
 * What is published, as a user gets it: packed once for all tests of a process, and installed in fresh folders outside
 * of this checkout. Only tfjs is this checkout's, through links; those lie one folder up, where Node finds them and npm
 * does not: what npm removes or replaces through a link is gone from here.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { builtAddon } from '../../scripts/native/toolchain.mjs';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const platform = `${process.platform}-${process.arch}`;
/** Whether this platform has a package with the native library. */
export const isPackaged = existsSync(path.join(root, 'npm', platform));
/** Whether that package is packed here. */
export const isNative = existsSync(builtAddon) && isPackaged;

/** Runs a command, and fails with its output if it does. */
export function command(
  cwd: string,
  program: string,
  args: string[],
  more: NodeJS.ProcessEnv = {},
): string {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', TFJS_XFORMERS_NATIVE: '', ...more };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', env });
  expect(status, `${program} ${args.join(' ')}\n${stdout}\n${stderr}`).to.equal(0);
  return stdout;
}

let packing: Promise<string> | undefined;

/** The folder of the packed packages; they are made at the first call. */
function packed(): Promise<string> {
  packing ??= (async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-packs-'));
    process.once('exit', () => spawnSync('rm', ['-r', folder]));
    const native = isNative ? '--prebuilt' : '--no-native';
    command(root, process.execPath, ['scripts/package.mjs', native, '--to', folder]);
    return folder;
  })();
  return packing;
}

/** The packed packages: tfjs-xformers, and the platform package where there is one. */
export async function archives(): Promise<{ main: string; native: string | undefined }> {
  const folder = await packed();
  const names = await readdir(folder);
  const find = (pattern: RegExp) => names.find((name) => pattern.test(name));
  const native = find(/^tfjs-xformers-\D.*\.tgz$/);
  return {
    main: path.join(folder, find(/^tfjs-xformers-\d.*\.tgz$/)!),
    native: native && path.join(folder, native),
  };
}

/** A folder of a user who has installed the packages. */
export class UserFolder {
  private constructor(
    /** Holds the user's folder and all else that a test makes. */
    readonly scratch: string,
    readonly path: string,
  ) {}

  /**
   * @param packages of this checkout that the user has as well, as they stand in node_modules
   */
  static async make(packages: readonly string[]): Promise<UserFolder> {
    const scratch = await realpath(await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-user-')));
    const folder = path.join(scratch, 'user');
    await mkdir(folder);
    await writeFile(path.join(folder, 'package.json'), '{"private": true, "type": "module"}\n');
    const { main, native } = await archives();
    // npm would ask its registry which tfjs there is, even to leave it out.
    const options = ['--offline', '--legacy-peer-deps', '--no-audit', '--no-fund'];
    command(folder, 'npm', ['install', ...options, main, ...(native ? [native] : [])]);
    for (const name of packages) {
      const link = path.join(scratch, 'node_modules', name);
      await mkdir(path.dirname(link), { recursive: true });
      await symlink(path.join(root, 'node_modules', name), link);
    }
    return new UserFolder(scratch, folder);
  }

  installed(...names: string[]): string {
    return path.join(this.path, 'node_modules', ...names);
  }

  async remove(): Promise<void> {
    await rm(this.scratch, { recursive: true, force: true });
  }
}
