// SPDX-License-Identifier: Apache-2.0
/**
 * Brings libtensorflow and the bindings of @tensorflow/tfjs-node-gpu and @tensorflow/tfjs-node, which npm does not
 * install by itself because this project runs no install scripts (.npmrc). Two ways, the first that works is taken:
 *
 * 1. the package's own install script, if the host that it downloads from answers;
 * 2. the libraries and headers out of TensorFlow's Python wheel, and the binding built from source.
 *
 * The wheel's files are kept in .cache, so that another `npm ci` does not download them again.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { note, root, run, seconds, tail } from '../console.mjs';

const tensorFlowVersion = '2.21.0';
const cacheDirectory = path.join(root, '.cache', `libtensorflow-${tensorFlowVersion}`);
const downloadHost = 'https://storage.googleapis.com/';

/**
 * The packages that bring the `tensorflow` backend, with the arguments of their install scripts. The tests use the
 * first one wherever one is enough.
 *
 * @typedef {'@tensorflow/tfjs-node-gpu' | '@tensorflow/tfjs-node'} TensorFlowPackage
 * @type {Record<TensorFlowPackage, string[]>}
 */
const installArguments = {
  '@tensorflow/tfjs-node-gpu': ['gpu', 'download'],
  '@tensorflow/tfjs-node': ['cpu', 'download'],
};

/** @param {TensorFlowPackage} name */
function directoryOf(name) {
  return path.join(root, 'node_modules', name);
}

/** @param {TensorFlowPackage} name */
const proofOf = (name) => `
  const tf = require('${name}');
  const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const [first] = tf.matMul(a, a).dataSync();
  if (tf.getBackend() !== 'tensorflow' || first !== 7) throw new Error('wrong result');
  console.log('libtensorflow ' + (tf.backend().binding?.TF_Version ?? 'unknown'));
`;

/**
 * Multiplies two matrices in a process of its own: the only proof that the binding and the library fit.
 *
 * @param {TensorFlowPackage} name
 */
async function works(name) {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' };
  const { code, output } = await run(process.execPath, ['-e', proofOf(name)], { env, quiet: true });
  const version = /^libtensorflow (.*)$/m.exec(output)?.[1];
  return { ok: code === 0, version, output };
}

/**
 * @param {TensorFlowPackage} [name]
 * @returns {Promise<boolean>} whether that package computes in this checkout
 */
export async function tensorFlowWorks(name = '@tensorflow/tfjs-node-gpu') {
  return (await works(name)).ok;
}

async function hostAnswers() {
  try {
    await fetch(downloadHost, { method: 'HEAD', signal: AbortSignal.timeout(5000) });
    return true;
  } catch {
    return false;
  }
}

/** The environment in which node-gyp builds: its tools on the path, and the headers of the running Node. */
function buildEnvironment() {
  const bin = path.join(root, 'node_modules/.bin');
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env['PATH'] ?? ''}` };
  const prefix = path.dirname(path.dirname(process.execPath));
  if (existsSync(path.join(prefix, 'include/node/node_api.h'))) {
    env['npm_config_nodedir'] ??= prefix;
  }
  return env;
}

/**
 * @param {TensorFlowPackage} name
 * @returns {Promise<string | undefined>} what went wrong
 */
async function installOfficially(name) {
  if (!(await hostAnswers())) {
    return `${downloadHost} does not answer`;
  }
  note(`running the install script of ${name} (it downloads TensorFlow's C library)`);
  const { code } = await run(process.execPath, ['scripts/install.js', ...installArguments[name]], {
    cwd: directoryOf(name),
    env: buildEnvironment(),
  });
  return code === 0 ? undefined : `its install script ended with exit code ${code}`;
}

/** @returns {Promise<string[] | undefined>} the command line of a pip that runs */
async function findPip() {
  for (const command of [['python3', '-m', 'pip'], ['pip3'], ['pip'], ['python', '-m', 'pip']]) {
    const [program = '', ...args] = command;
    const { code } = await run(program, [...args, '--version'], { quiet: true });
    if (code === 0) return command;
  }
  return undefined;
}

const unpack = `
import os, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        head, _, rest = name.partition('/')
        if head != 'tensorflow' or name.endswith('/'):
            continue
        if rest.startswith('libtensorflow'):
            path = os.path.join(target, 'lib', rest)
        elif rest.startswith(('include/tensorflow/', 'include/xla/', 'include/tsl/')):
            path = os.path.join(target, rest)
        else:
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(name) as source, open(path, 'wb') as sink:
            while chunk := source.read(1 << 24):
                sink.write(chunk)
`;

/**
 * Downloads TensorFlow's wheel and unpacks what a C program needs of it into the cache.
 *
 * @returns {Promise<string | undefined>} what went wrong
 */
async function fillCache() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `there is no wheel to take it from on ${process.platform} ${process.arch}`;
  }
  const pip = await findPip();
  if (pip === undefined) {
    return 'pip is not installed';
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'libtensorflow-'));
  const partial = `${cacheDirectory}.${process.pid}.partial`;
  try {
    const requirement = `tensorflow-cpu==${tensorFlowVersion}`;
    note(`downloading the Python wheel ${requirement} (270 MB) with pip`);
    const [program = '', ...args] = pip;
    const download = ['download', '--no-deps', '--only-binary=:all:', '--python-version', '3.11'];
    const fetched = await run(program, [...args, ...download, '--dest', directory, requirement], {
      quiet: true,
    });
    if (fetched.code !== 0) {
      return `pip could not download ${requirement}:\n${tail(fetched.output)}`;
    }
    const wheel = (await readdir(directory)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) {
      return 'pip brought no wheel';
    }
    note('unpacking the libraries and headers (850 MB)');
    const python = program.startsWith('python') ? program : 'python3';
    const unpacked = await run(python, ['-c', unpack, path.join(directory, wheel), partial], {
      quiet: true,
    });
    if (unpacked.code !== 0) {
      return `the wheel could not be unpacked:\n${tail(unpacked.output)}`;
    }
    const lib = path.join(partial, 'lib');
    for (const suffix of ['', '.2']) {
      await symlink('libtensorflow_cc.so.2', path.join(lib, `libtensorflow.so${suffix}`));
    }
    await symlink('libtensorflow_framework.so.2', path.join(lib, 'libtensorflow_framework.so'));
    await rm(cacheDirectory, { recursive: true, force: true });
    await rename(partial, cacheDirectory);
    return undefined;
  } finally {
    await rm(partial, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {TensorFlowPackage} name
 * @returns {Promise<string | undefined>} what went wrong
 */
async function installFromWheel(name) {
  if (!existsSync(cacheDirectory)) {
    const problem = await fillCache();
    if (problem !== undefined) return problem;
  }
  const deps = path.join(directoryOf(name), 'deps');
  await rm(deps, { recursive: true, force: true });
  await mkdir(deps);
  for (const part of ['lib', 'include']) {
    await symlink(path.join(cacheDirectory, part), path.join(deps, part));
  }
  note(`building the binding of ${name}`);
  const { code, output } = await run('node-pre-gyp', ['install', '--build-from-source'], {
    cwd: directoryOf(name),
    env: buildEnvironment(),
    quiet: true,
  });
  return code === 0 ? undefined : `the binding could not be built:\n${tail(output, 30)}`;
}

/**
 * Makes one of the packages work in this checkout; does nothing where it works already.
 *
 * @param {TensorFlowPackage} name
 * @returns {Promise<string[]>} what was tried in vain; empty if it works
 */
async function setupPackage(name) {
  const start = performance.now();
  if (!existsSync(directoryOf(name))) return [`${name} is not installed: run \`npm ci\` first`];
  let state = await works(name);
  if (state.ok) {
    note(`${name} works (libtensorflow ${state.version})`);
    return [];
  }
  const problems = [];
  for (const [way, install] of /** @type {const} */ ([
    ['official download', installOfficially],
    ['Python wheel', installFromWheel],
  ])) {
    let problem = await install(name);
    if (problem === undefined) {
      state = await works(name);
      if (state.ok) {
        const took = seconds(performance.now() - start);
        note(`${name} works now (libtensorflow ${state.version}; ${took})`);
        return [];
      }
      problem = `installed, but it does not run:\n${tail(state.output)}`;
    }
    note(`${way}: ${problem}`);
    problems.push(`${name}, ${way}: ${problem.split('\n', 1)[0]?.replace(/:$/, '')}`);
  }
  return problems;
}

/**
 * Makes the packages of the `tensorflow` backend work in this checkout.
 *
 * @returns {Promise<string | undefined>} undefined, or why one of them does not work and what to do
 */
export async function setupLibTensorFlow() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major > 22) {
    return `tfjs-node and tfjs-node-gpu 4.22 need Node 20 or 22, this is ${process.version}.`;
  }
  const problems = [];
  for (const name of /** @type {TensorFlowPackage[]} */ (Object.keys(installArguments))) {
    problems.push(...(await setupPackage(name)));
  }
  if (problems.length === 0) return undefined;
  return [
    'libtensorflow could not be installed, so the `tensorflow` backend is not available from these packages.',
    ...problems.map((problem) => `  ${problem}`),
    'Make one of the ways possible (on Debian: apt-get install python3-pip make g++), then run `npm run setup`.',
  ].join('\n');
}
