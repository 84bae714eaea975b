// SPDX-License-Identifier: Apache-2.0
/**
 * The peers that come from npm. They are no dependencies of this package (onnxruntime-web is 140 MB): the
 * benchmark installs them into a folder of its own when it first needs them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Peer {
  /** Path of its module. */
  file: string;
  version: string;
}

const PEERS = {
  'onnxruntime-web': { version: '1.30.0', module: 'dist/ort.webgpu.min.mjs' },
  '@jax-js/jax': { version: '0.1.25', module: 'dist/index.js' },
} as const;

export type PeerName = keyof typeof PEERS;

/** What of a peer has to be carried along: the module with all that it imports or fetches. */
export const PEER_FILES: Record<PeerName, readonly string[]> = {
  'onnxruntime-web': [
    'dist/ort.webgpu.min.mjs',
    'dist/ort-wasm-simd-threaded.asyncify.mjs',
    'dist/ort-wasm-simd-threaded.asyncify.wasm',
  ],
  '@jax-js/jax': ['dist'],
};

/** As this process was started by npm, its own script; else what is on the PATH. */
function npm(args: readonly string[], cwd: string): string {
  const script = process.env['npm_execpath'];
  const isWindows = process.platform === 'win32';
  const { status, stderr, error } = script
    ? spawnSync(process.execPath, [script, ...args], { cwd, encoding: 'utf8' })
    : spawnSync('npm', args, { cwd, encoding: 'utf8', shell: isWindows });
  if (status === 0) return '';
  return (error?.message ?? stderr).trim().split('\n')[0] || 'npm failed';
}

function install(name: PeerName, version: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  // Without a manifest of its own npm would install into the folder above.
  const manifest = path.join(folder, 'package.json');
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  console.log(`Installing ${name} ${version} into ${folder}, once`);
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  return npm(['install', ...options, `${name}@${version}`], folder);
}

/**
 * @param folder where they are, or are installed
 * @returns the peer, or why it is absent
 */
export function findPeer(name: PeerName, folder: string): Peer | string {
  const { version, module } = PEERS[name];
  const root = path.join(path.resolve(folder), 'node_modules', name);
  const manifest = path.join(root, 'package.json');
  if (!existsSync(manifest)) {
    const failure = install(name, version, path.resolve(folder));
    if (failure) return `absent: npm could not install ${name}@${version} (${failure})`;
  }
  const found = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return { file: path.join(root, module), version: found.version };
}
