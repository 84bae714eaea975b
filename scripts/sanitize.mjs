// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the native unit tests under sanitizers, in folders of their own under .cache:
 *
 *     npm run test:sanitize -- [--filter TEXT] [--seed N] [--rounds N] [--jobs N] [--skip-threads]
 *
 * 1. AddressSanitizer and UndefinedBehaviorSanitizer: golden and fuzz cases of the kernels of every instruction set that
 *    this processor has, and the thread pool. Tensors lie between poisoned zones, so any access out of bounds ends it.
 * 2. ThreadSanitizer: the thread pool, and the kernels on several threads.
 *
 * With no --rounds there are 40 of the first and 6 of the second, so that both take minutes. Exit code 1 if anything
 * failed. ThreadSanitizer needs an address space layout that some containers forbid; where a program of one line does
 * not run under it, that is said, and it fails in CI only.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { note, root, run, seconds, step } from './console.mjs';
import { generatorOptions, missingTools } from './native/toolchain.mjs';

const { values: options } = parseArgs({
  options: {
    filter: { type: 'string' },
    seed: { type: 'string' },
    rounds: { type: 'string' },
    jobs: { type: 'string' },
    'skip-threads': { type: 'boolean', default: false },
  },
});

const settings = {
  ...process.env,
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1',
};

/** @param {string} command @param {string[]} args @returns {Promise<boolean>} whether it went well */
async function succeeds(command, args) {
  const { code } = await run(command, args, { env: settings });
  if (code !== 0) console.error(`\n${path.basename(command)} failed with exit code ${code}`);
  return code === 0;
}

/**
 * Builds the tests in .cache/native-<name>.
 *
 * @param {string} name
 * @param {string} sanitizers as in -fsanitize
 * @returns {Promise<string | undefined>} the folder of the programs; undefined if they did not compile
 */
async function build(name, sanitizers) {
  const directory = path.join(root, '.cache', `native-${name}`);
  const start = performance.now();
  const configured = await succeeds('cmake', [
    ...['-S', path.join(root, 'native'), '-B', directory, ...(await generatorOptions())],
    ...['-DCMAKE_BUILD_TYPE=Release', '-DTFXF_TESTS=ON', `-DTFXF_SANITIZE=${sanitizers}`],
  ]);
  const jobs = options.jobs ?? String(os.availableParallelism());
  const targets = ['--target', 'native_tests', 'native_pool_tests'];
  const built =
    configured && (await succeeds('cmake', ['--build', directory, ...targets, '--parallel', jobs]));
  note(`built in ${seconds(performance.now() - start)}`);
  return built ? path.join(directory, 'tests') : undefined;
}

/** @param {string} programs the folder @param {string} name @param {string[]} args */
async function test(programs, name, args) {
  const start = performance.now();
  const passed = await succeeds(path.join(programs, name), args);
  note(`${name} ran for ${seconds(performance.now() - start)}`);
  return passed;
}

/**
 * Seed and rounds of the fuzz tests.
 *
 * @param {string} rounds those where the caller asked for none
 */
function fuzz(rounds) {
  const seed = options.seed === undefined ? [] : ['--seed', options.seed];
  return [...seed, '--rounds', options.rounds ?? rounds];
}

async function testMemory() {
  step('Sanitizers: memory and undefined behaviour');
  const programs = await build('address', 'address,undefined');
  if (programs === undefined) return false;
  const filter = options.filter === undefined ? [] : ['--filter', options.filter];
  const kernels = await test(programs, 'native_tests', [...fuzz('40'), ...filter]);
  return (await test(programs, 'native_pool_tests', [])) && kernels;
}

/** Whether programs run under ThreadSanitizer here. */
async function threadSanitizerRuns() {
  const directory = path.join(root, '.cache/native-thread-probe');
  const [source, program] = ['probe.cc', 'probe'].map((name) => path.join(directory, name));
  await mkdir(directory, { recursive: true });
  await writeFile(/** @type {string} */ (source), 'int main() { return 0; }\n');
  const compiler = process.env['CXX'] ?? 'c++';
  const args = ['-fsanitize=thread', '-o', /** @type {string} */ (program)];
  const built = await run(compiler, [...args, /** @type {string} */ (source)], { quiet: true });
  if (built.code !== 0) return false;
  return (await run(/** @type {string} */ (program), [], { quiet: true })).code === 0;
}

async function testThreads() {
  step('Sanitizers: threads');
  if (!(await threadSanitizerRuns())) {
    note('ThreadSanitizer does not run on this machine: left out');
    return process.env['CI'] === undefined;
  }
  const programs = await build('thread', 'thread');
  if (programs === undefined) return false;
  const pool = await test(programs, 'native_pool_tests', []);
  return (await test(programs, 'native_tests', [...fuzz('6'), '--filter', 'workers/'])) && pool;
}

const problem = await missingTools();
if (problem !== undefined) {
  console.error(`\n${problem}`);
  process.exit(1);
}
const memory = await testMemory();
const threads = options['skip-threads'] || (await testThreads());
step(memory && threads ? 'Sanitizers: all passed' : 'Sanitizers: FAILED, see above');
process.exit(memory && threads ? 0 : 1);
