// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the tests and ends with a table: backend, place, passed, failed, skipped and why.
 *
 *     node scripts/test.mjs [--where node|chromium] [--backend cpu,webgpu,tensorflow] [--unit] [--grep text]
 *                           [--adapter software|hardware|auto] [--jobs N]
 *
 * With no option: the unit tests, every backend in Node (each in its own process) and every one in Chromium, two
 * processes at a time; the output of each is shown when it has ended. `--jobs 1` runs one after the other and shows
 * the output as it comes. `--adapter` (software, the same everywhere) is for WebGPU in Node.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { note, root, run, seconds, step } from './console.mjs';
import { allBackends, partsOf } from './test/parts.mjs';
import { printFailures, printSkips, printTable, printTotals, rowOf } from './test/table.mjs';

/** @typedef {import('./test/parts.mjs').Part} Part */
/** @typedef {import('./test/table.mjs').Row} Row */
/** @typedef {import('../test/support/report.js').TestResult} TestResult */

const resultsDirectory = path.join(root, '.cache/test-results');

const USAGE = `npm test -- [--where node|chromium] [--backend NAME,NAME] [--unit] [--grep TEXT]
            [--adapter software|hardware|auto] [--jobs N]`;

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`test: ${message}`);
  process.exit(2);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      where: { type: 'string' },
      backend: { type: 'string' },
      unit: { type: 'boolean', default: false },
      grep: { type: 'string' },
      adapter: { type: 'string', default: 'software' },
      jobs: { type: 'string', default: String(Math.min(2, os.availableParallelism())) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(`${USAGE}\n\nBackends and other parts: ${allBackends.join(', ')}`);
    process.exit(0);
  }
  const backends = values.backend?.split(',');
  const unknown = backends?.find((name) => !allBackends.includes(name));
  if (unknown !== undefined) refuse(`unknown backend ${unknown}; known: ${allBackends.join(', ')}`);
  if (values.where !== undefined && !['node', 'chromium'].includes(values.where)) {
    refuse(`--where is node or chromium, not ${values.where}`);
  }
  if (!['software', 'hardware', 'auto'].includes(values.adapter)) {
    refuse(`--adapter is software, hardware or auto, not ${values.adapter}`);
  }
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) refuse(`--jobs is a count, not ${values.jobs}`);
  const { where, unit, grep, adapter } = values;
  return { where, backends, unit, grep, adapter, jobs };
}

/**
 * Reads what a process reported.
 *
 * @param {string} file
 * @param {number} code how the process ended
 * @returns {Promise<{results: TestResult[], crash: string | undefined}>}
 */
async function readResults(file, code) {
  const crash = code === 0 ? undefined : `the test process ended with exit code ${code}`;
  try {
    /** @type {TestResult[]} */
    const results = JSON.parse(await readFile(file, 'utf8'));
    const failed = results.some((result) => result.state === 'failed');
    const empty = results.length === 0 && options.grep === undefined ? 'no test ran' : undefined;
    return { results, crash: failed ? undefined : (crash ?? empty) };
  } catch {
    return { results: [], crash: crash ?? 'the test process wrote no results' };
  }
}

/**
 * @param {Part} part
 * @param {boolean} live whether to show the output as it comes
 * @returns {Promise<Row[]>} a row for each of its backends
 */
async function runPart(part, live) {
  const { name, where, backends, command } = part;
  const title = `${name} (${where})`;
  const obstacle = await part.obstacle?.();
  if (obstacle !== undefined) {
    step(`Tests: ${title}`);
    note(`not run: ${obstacle}`);
    // In CI nothing may be left out: there it is a failure.
    const circumstances = process.env['CI'] ? { crash: obstacle } : { notRun: obstacle };
    return backends.map((backend) => rowOf(backend, where, [], circumstances));
  }
  const file = path.join(resultsDirectory, `${backends.join('-')}-${where}.json`);
  await rm(file, { force: true });
  if (live) step(`Tests: ${title}`);
  else note(`started: ${title}`);
  const start = performance.now();
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env, ...part.env, TFXF_RESULTS: file };
  let passed = 0;
  const onOutput = (/** @type {string} */ text) => {
    passed += text.split('✔').length - 1;
  };
  const progress = setInterval(() => {
    if (!live) note(`${title}: ${passed} passed after ${seconds(performance.now() - start)}`);
  }, 30_000);
  const { code, output } = await run(process.execPath, command, { env, quiet: !live, onOutput });
  clearInterval(progress);
  const milliseconds = performance.now() - start;
  if (!live) {
    step(`Tests: ${title}, ${seconds(milliseconds)}`);
    console.log(output);
  }
  const { results, crash } = await readResults(file, code);
  return backends.map((backend, index) => {
    const own = results.filter(({ suite }) => suite[0] === `${backend} (${where})`);
    return rowOf(backend, where, backends.length > 1 ? own : results, {
      ...(backends.length > 1 ? {} : { milliseconds }),
      ...(crash !== undefined && index === 0 ? { crash } : {}),
    });
  });
}

const options = readOptions();
const parts = partsOf(options);
if (parts.length === 0) refuse('these options leave no tests');
await mkdir(resultsDirectory, { recursive: true });

const start = performance.now();
const lanes = Math.min(options.jobs, parts.length);
const queue = [...parts];
/** @type {Row[]} */
const rows = [];
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      rows.push(...(await runPart(part, lanes === 1)));
    }
  }),
);
rows.sort((a, b) => b.where.localeCompare(a.where) || a.backend.localeCompare(b.backend));

printSkips(rows);
printFailures(rows);
printTable(rows);
note(`all parts: ${seconds(performance.now() - start)}, ${lanes} at a time`);
process.exit(printTotals(rows) > 0 ? 1 : 0);
