// SPDX-License-Identifier: Apache-2.0
/** The parts of a test run: which process runs what, and what it needs to run at all. */
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

const nodeBackends = ['webgpu', 'cpu', 'wasm', 'tensorflow'];
/** A page for each group: WebGPU takes as long as the others together. */
const pages = [['webgpu'], ['cpu', 'wasm', 'webgl']];

export const allBackends = [...new Set([...nodeBackends, ...pages.flat()])];

/** @param {string} spec @param {Options} options */
function mocha(spec, { grep }) {
  const reporter = ['--reporter', 'test/support/report_mocha.ts'];
  const filter = grep === undefined ? [] : ['--grep', grep];
  return ['node_modules/mocha/bin/mocha.js', ...reporter, ...filter, '--spec', spec];
}

/** @param {string} name @param {Options} options @returns {Part['obstacle']} */
function nodeObstacle(name, { adapter }) {
  switch (name) {
    case 'tensorflow':
      return async () =>
        (await tensorFlowWorks())
          ? undefined
          : '@tensorflow/tfjs-node-gpu does not run; `npm run setup` says why';
    case 'webgpu':
      return async () =>
        adapter !== 'software' || (await findSwiftShader()) !== undefined
          ? undefined
          : 'no software adapter; `npm run setup` brings Chromium, which has one';
    default:
      return undefined;
  }
}

/** @param {string} name @param {Options} options @returns {Part} */
function nodePart(name, options) {
  return {
    name,
    where: 'node',
    backends: [name],
    command: mocha('test/node.test.ts', options),
    env: { TFXF_BACKEND: name, TFXF_ADAPTER: options.adapter },
    obstacle: nodeObstacle(name, options),
  };
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
  const inPages = where === 'node' ? [] : pages.map((page) => page.filter(wanted));
  const parts = [
    ...inNode.map((name) => nodePart(name, options)),
    ...inPages.filter((page) => page.length > 0).map((page) => browserPart(page, options)),
  ];
  if (unit || (backends === undefined && where !== 'chromium')) {
    const command = mocha('test/unit/**/*.test.ts', options);
    parts.push({
      name: 'unit',
      where: 'node',
      backends: ['unit'],
      command,
      env: {},
      obstacle: undefined,
    });
  }
  const isSlow = (/** @type {Part} */ part) => part.backends.includes('webgpu');
  return [...parts.filter(isSlow), ...parts.filter((part) => !isSlow(part))];
}
