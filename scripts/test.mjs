// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the tests, one part after the other, and ends with a table: backend, place, passed, failed, skipped and why.
 *
 *     node scripts/test.mjs [--where node|chromium] [--backend cpu,webgpu] [--unit] [--grep text] [--adapter hardware]
 *
 * With no option: the unit tests, every backend in Node (each in its own process) and every one in Chromium.
 * `--adapter` is software (the default, the same everywhere), hardware or auto, for WebGPU in Node.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { note, root, run, seconds, step } from './console.mjs';
import { findChromium, findSwiftShader } from './setup/chromium.mjs';
import { tensorFlowWorks } from './setup/libtensorflow.mjs';
import { printFailures, printSkips, printTable, printTotals, rowOf } from './test/table.mjs';

/** @typedef {import('./test/table.mjs').Row} Row */
/** @typedef {import('../test/support/report.js').TestResult} TestResult */
/**
 * @typedef {object} Part
 * @property {string} name
 * @property {'node' | 'chromium'} where
 * @property {string[]} backends
 * @property {string[]} command the arguments of Node
 * @property {NodeJS.ProcessEnv} [env]
 * @property {() => Promise<string | undefined>} [obstacle] why it cannot run here
 */

const { values: options } = parseArgs({
  options: {
    where: { type: 'string' },
    backend: { type: 'string' },
    unit: { type: 'boolean' },
    grep: { type: 'string' },
    adapter: { type: 'string', default: 'software' },
  },
});

const nodeBackends = ['cpu', 'wasm', 'tensorflow', 'webgpu'];
const browserBackends = ['cpu', 'wasm', 'webgl', 'webgpu'];
const wanted = options.backend?.split(',');
const unknown = wanted?.find((name) => ![...nodeBackends, ...browserBackends].includes(name));
if (unknown !== undefined) {
  console.error(`test: unknown backend ${unknown}`);
  process.exit(2);
}

/** @param {string} spec @param {string[]} [more] */
function mocha(spec, more = []) {
  const reporter = ['--reporter', 'test/support/report_mocha.ts'];
  const grep = options.grep === undefined ? [] : ['--grep', options.grep];
  return ['node_modules/mocha/bin/mocha.js', ...reporter, ...grep, ...more, '--spec', spec];
}

/** @type {Record<string, () => Promise<string | undefined>>} */
const obstacles = {
  tensorflow: async () =>
    (await tensorFlowWorks())
      ? undefined
      : '@tensorflow/tfjs-node-gpu does not run; `npm run setup` says why',
  webgpu: async () =>
    options.adapter !== 'software' || (await findSwiftShader()) !== undefined
      ? undefined
      : 'no software adapter; `npm run setup` brings Chromium, which has one',
};

/** @type {Part[]} */
const parts = [];
if (options.unit || (!wanted && options.where !== 'chromium')) {
  const command = mocha('test/unit/**/*.test.ts');
  parts.push({ name: 'unit', where: 'node', backends: ['unit'], command });
}
if (options.where !== 'chromium' && !(options.unit && !wanted)) {
  for (const name of nodeBackends.filter((backend) => wanted?.includes(backend) ?? true)) {
    const env = { TFXF_BACKEND: name, TFXF_ADAPTER: options.adapter };
    const command = mocha('test/node.test.ts');
    const obstacle = obstacles[name];
    parts.push({
      name,
      where: 'node',
      backends: [name],
      command,
      env,
      ...(obstacle && { obstacle }),
    });
  }
}
const inChromium = browserBackends.filter((backend) => wanted?.includes(backend) ?? true);
if (options.where !== 'node' && inChromium.length > 0 && !(options.unit && !wanted)) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { TFXF_BACKENDS: inChromium.join(',') };
  if (options.grep !== undefined) env['TFXF_GREP'] = options.grep;
  parts.push({
    name: 'browser',
    where: 'chromium',
    backends: inChromium,
    command: ['node_modules/karma/bin/karma', 'start', 'karma.conf.js'],
    env,
    obstacle: () =>
      Promise.resolve(
        findChromium() === undefined ? 'no Chromium; `npm run setup` says what to do' : undefined,
      ),
  });
}

const resultsDirectory = path.join(root, '.cache/test-results');
await mkdir(resultsDirectory, { recursive: true });

/** @type {Row[]} */
const rows = [];
const start = performance.now();
for (const part of parts) {
  const title = part.where === 'chromium' ? part.backends.join(', ') : part.name;
  step(`Tests: ${title} (${part.where})`);
  const obstacle = await part.obstacle?.();
  if (obstacle !== undefined) {
    note(`not run: ${obstacle}`);
    for (const backend of part.backends) {
      rows.push(rowOf(backend, part.where, [], { notRun: obstacle }));
    }
    continue;
  }
  const file = path.join(resultsDirectory, `${part.name}-${part.where}.json`);
  await rm(file, { force: true });
  const began = performance.now();
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env, ...part.env, TFXF_RESULTS: file };
  const { code } = await run(process.execPath, part.command, { env });
  const took = performance.now() - began;
  /** @type {TestResult[]} */
  let results = [];
  let crash = code === 0 ? undefined : `the test process ended with exit code ${code}`;
  try {
    results = /** @type {TestResult[]} */ (JSON.parse(await readFile(file, 'utf8')));
  } catch {
    crash ??= 'the test process wrote no results';
  }
  if (results.some((result) => result.state === 'failed')) crash = undefined;
  if (results.length === 0 && crash === undefined && options.grep === undefined) {
    crash = 'no test ran';
  }
  for (const backend of part.backends) {
    const label = `${backend} (${part.where})`;
    const own =
      part.where === 'node' ? results : results.filter((result) => result.suite[0] === label);
    const failure = crash === undefined ? {} : { crash };
    rows.push(rowOf(backend, part.where, own, { ...failure, milliseconds: took }));
    crash = undefined;
  }
}

printSkips(rows);
printFailures(rows);
printTable(rows);
note(`all parts: ${seconds(performance.now() - start)}`);
const failed = printTotals(rows);
process.exit(failed > 0 ? 1 : 0);
