// SPDX-License-Identifier: Apache-2.0
/** The parts of a test run: which process runs what, and what it needs to run at all. */
import { existsSync } from 'node:fs';

import { builtAddon } from '../native/toolchain.mjs';
import { findChromium, findSwiftShader } from '../setup/chromium.mjs';
import { tensorFlowWorks } from '../setup/libtensorflow.mjs';

/**
 * @typedef {object} Options
 * @property {string | undefined} where
 * @property {string[] | undefined} backends
 * @property {boolean} unit
 * @property {string | undefined} grep
 * @property {string} adapter
 */
/**
 * @typedef {object} Part
 * @property {string} name
 * @property {'node' | 'chromium'} where
 * @property {string[]} backends
 * @property {string[]} command the arguments of Node
 * @property {NodeJS.ProcessEnv} env
 * @property {(() => Promise<string | undefined>) | undefined} obstacle why it cannot run here
 */

const nodeBackends = ['webgpu', 'cpu', 'wasm'];

/**
 * The `tensorflow` backend: the package that brings it, and the kernels that serve it.
 *
 * @type {Record<string, {name: import('../setup/libtensorflow.mjs').TensorFlowPackage, kernels: 'native' | 'portable'}>}
 */
const tensorFlowParts = {
  'tfjs-node-gpu': { name: '@tensorflow/tfjs-node-gpu', kernels: 'native' },
  'tfjs-node': { name: '@tensorflow/tfjs-node', kernels: 'native' },
  'tfjs-node-portable': { name: '@tensorflow/tfjs-node-gpu', kernels: 'portable' },
};
/** A page for each group: WebGPU takes as long as the others together. */
const pages = [['webgpu'], ['cpu', 'wasm', 'webgl']];

/**
 * What is published, what the pages say, and the examples, those of models by themselves: what they load differs. The
 * browser app brings a Chromium of its own.
 */
const plainParts = {
  package: 'test/package/*.test.ts',
  docs: 'test/docs/*.test.ts',
  examples: 'test/examples/!(models*).test.ts',
  models: 'test/examples/models*.test.ts',
  'browser-app': 'test/browser_app/*.test.ts',
};

/** What --backend takes; `tensorflow` stands for all parts of that backend, and `native` is one of them. */
export const allBackends = [
  ...new Set([
    ...nodeBackends,
    ...pages.flat(),
    'tensorflow',
    ...Object.keys(tensorFlowParts),
    'native',
    ...Object.keys(plainParts),
  ]),
];

/** @param {string} spec @param {Options} options */
function mocha(spec, { grep }) {
  const reporter = ['--reporter', 'test/support/report_mocha.ts'];
  const filter = grep === undefined ? [] : ['--grep', grep];
  return ['node_modules/mocha/bin/mocha.js', ...reporter, ...filter, '--spec', spec];
}

/**
 * @param {import('../setup/libtensorflow.mjs').TensorFlowPackage} name
 * @param {'native' | 'portable'} kernels
 * @returns {Promise<string | undefined>}
 */
async function tensorFlowObstacle(name, kernels) {
  if (!(await tensorFlowWorks(name))) return `${name} does not run; \`npm run setup\` says why`;
  if (kernels === 'portable' || existsSync(builtAddon)) return undefined;
  return 'the native library is not built; `npm run build:native` builds it';
}

/** @param {Options} options @returns {Promise<string | undefined>} */
async function webgpuObstacle({ adapter }) {
  if (adapter !== 'software' || (await findSwiftShader()) !== undefined) return undefined;
  return 'no software adapter; `npm run setup` brings Chromium, which has one';
}

/** @param {string} name @param {Options} options @returns {Part} */
function nodePart(name, options) {
  return {
    name,
    where: 'node',
    backends: [name],
    command: mocha('test/node.test.ts', options),
    env: { TFXF_BACKEND: name, TFXF_ADAPTER: options.adapter },
    obstacle: name === 'webgpu' ? () => webgpuObstacle(options) : undefined,
  };
}

/** @param {string} part @param {Options} options @returns {Part} */
function tensorFlowPart(part, options) {
  const { name, kernels } = /** @type {(typeof tensorFlowParts)[string]} */ (tensorFlowParts[part]);
  return {
    name: `${part}, ${kernels} kernels`,
    where: 'node',
    backends: [part],
    command: mocha('test/node.test.ts', options),
    env: { TFXF_BACKEND: 'tensorflow', TFXF_TENSORFLOW: name, TFXF_KERNELS: kernels },
    obstacle: () => tensorFlowObstacle(name, kernels),
  };
}

/** What concerns the native library as a whole: threads, memory, malformed calls. @param {Options} options @returns {Part} */
function nativePart(options) {
  return {
    name: 'native',
    where: 'node',
    backends: ['native'],
    command: mocha('test/native/*.test.ts', options),
    env: {},
    obstacle: () => tensorFlowObstacle('@tensorflow/tfjs-node-gpu', 'native'),
  };
}

/** What needs no backend of its own. @param {string} name @param {string} spec @param {Options} options @returns {Part} */
function plainPart(name, spec, options) {
  const command = mocha(spec, options);
  return { name, where: 'node', backends: [name], command, env: {}, obstacle: undefined };
}

/** @param {string[]} backends @param {Options} options @returns {Part} */
function browserPart(backends, options) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { TFXF_BACKENDS: backends.join(',') };
  if (options.grep !== undefined) env['TFXF_GREP'] = options.grep;
  return {
    name: backends.join(', '),
    where: 'chromium',
    backends,
    command: ['node_modules/karma/bin/karma', 'start', 'karma.conf.js'],
    env,
    obstacle: () =>
      Promise.resolve(
        findChromium() === undefined ? 'no Chromium; `npm run setup` says what to do' : undefined,
      ),
  };
}

/**
 * The parts that the options ask for, those that take longest first.
 *
 * @param {Options} options
 * @returns {Part[]}
 */
export function partsOf(options) {
  const { where, backends, unit } = options;
  const wanted = (/** @type {string} */ name) => backends?.includes(name) ?? !unit;
  const inNode = where === 'chromium' ? [] : nodeBackends.filter(wanted);
  const tensorFlow =
    where === 'chromium'
      ? []
      : Object.keys(tensorFlowParts).filter((name) => wanted(name) || wanted('tensorflow'));
  const inPages = where === 'node' ? [] : pages.map((page) => page.filter(wanted));
  const parts = [
    ...inNode.map((name) => nodePart(name, options)),
    ...tensorFlow.map((name) => tensorFlowPart(name, options)),
    ...inPages.filter((page) => page.length > 0).map((page) => browserPart(page, options)),
  ];
  if (where !== 'chromium' && (wanted('native') || wanted('tensorflow')))
    parts.push(nativePart(options));
  for (const [name, spec] of where === 'chromium' ? [] : Object.entries(plainParts)) {
    if (wanted(name)) parts.push(plainPart(name, spec, options));
  }
  if (unit || (backends === undefined && where !== 'chromium')) {
    parts.push(plainPart('unit', 'test/unit/**/*.test.ts', options));
  }
  const isSlow = (/** @type {Part} */ part) => part.backends.includes('webgpu');
  return [...parts.filter(isSlow), ...parts.filter((part) => !isSlow(part))];
}
