// SPDX-License-Identifier: Apache-2.0
/** The threads that kernels use, and those of JavaScript that use the kernels. */
import { availableParallelism } from 'node:os';
import { expect } from 'chai';
import { NATIVE_OPS } from '../support/native_calls.js';
import { Programs, pathIn, root } from '../support/program.js';
import type { Digests } from './every_op.js';
import { RUN_EVERY_OP } from './programs.js';
import type { Run } from './programs.js';

/** Names of the process's threads, as Linux has them. */
const THREAD_NAMES = [
  `import { readFileSync, readdirSync } from 'node:fs';`,
  `const tasks = readdirSync('/proc/self/task');`,
  'const names = tasks.map((id) => readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim());',
  `result.pool = names.filter((name) => name === 'tfjs-xformers').length;`,
];

/** A worker thread with the package in it, tfxf, and what runs every op; then it does its `work`. */
const workerBody = (work: string): string => `
    import('tsx/esm/api').then(async ({ register }) => {
      register();
      const { parentPort } = require('node:worker_threads');
      await import('@tensorflow/tfjs-node-gpu');
      const tfxf = await import('${pathIn(root, 'src/node.ts')}');
      const { digestsOf, everyOp } = await import('${pathIn(root, 'test/native/every_op.ts')}');
      ${work}
    });`;

/** What the main thread and two workers do at the same time: every op, several times. */
const THREE_THREADS = [
  `import { Worker } from 'node:worker_threads';`,
  ...RUN_EVERY_OP,
  `const body = ${JSON.stringify(
    workerBody(`
      parentPort.postMessage(tfxf.info().native);
      await new Promise((resolve) => parentPort.once('message', resolve));
      for (let round = 0; round < 12; round++) parentPort.postMessage(digestsOf(everyOp(tfxf)));
      parentPort.close();`),
  )};`,
  `const workers = [0, 1].map(() => new Worker(body, { eval: true }));`,
  `const told = workers.map((worker) => {
    const messages = [];
    const wait = (event) => new Promise((resolve, reject) => {
      worker.once(event, resolve);
      worker.once('error', reject);
    });
    const ready = wait('message');
    const ended = wait('exit');
    worker.on('message', (message) => void messages.push(message));
    return { messages, ready, ended };
  });`,
  'await Promise.all(told.map(({ ready }) => ready));',
  'for (const worker of workers) worker.postMessage("go");',
  'const own = [];',
  `for (let round = 0; round < 12; round++) {
    own.push(digestsOf(everyOp(tfxf)));
    // Lets the messages of the workers in.
    await new Promise((resolve) => setImmediate(resolve));
  }`,
  'await Promise.all(told.map(({ ended }) => ended));',
  `result.natives = told.map(({ messages }) => messages[0]);`,
  `result.runs = [own, ...told.map(({ messages }) => messages.slice(1))];`,
];

interface ThreeThreads extends Run {
  natives: Run['native'][];
  runs: Digests[][];
}

describe('threads', function () {
  this.timeout(120_000);

  const programs = new Programs('threads');
  before(() => programs.make());
  after(() => programs.remove());

  let alone: Run & { pool: number };
  const run = async (name: string, threads: string | undefined) => {
    const env = { TF_NUM_INTRAOP_THREADS: threads };
    const lines = [...RUN_EVERY_OP, ...THREAD_NAMES];
    return (await programs.run<typeof alone>(name, lines, env)).result;
  };
  before(async () => {
    alone = await run('one', '1');
  });

  it("one thread: TensorFlow's setting holds for the kernels, and nothing runs beside them", () => {
    expect(alone.native.threads).to.equal(1);
    expect(alone.ops).to.deep.equal(NATIVE_OPS);
    expect(alone.pool).to.equal(0);
  });

  for (const threads of [2, 5]) {
    it(`${threads} threads: as many, and the same results bit by bit`, async () => {
      const several = await run(`threads_${threads}`, String(threads));
      expect(several.native.threads).to.equal(threads);
      expect(several.pool).to.equal(threads - 1);
      expect(several.digests).to.deep.equal(alone.digests);
    });
  }

  for (const [title, setting] of [
    ['no setting', undefined],
    ['a setting that is no number', 'many'],
  ] as const) {
    it(`${title}: as many as there are processors to use`, async () => {
      const { native, digests } = await run('all', setting);
      // Node counts them in the same way.
      expect(native.threads).to.equal(availableParallelism());
      expect(digests).to.deep.equal(alone.digests);
    });
  }

  it('two worker threads and the main one at the same time: the same results bit by bit', async () => {
    const { result } = await programs.run<ThreeThreads>('workers', THREE_THREADS);
    expect(result.native.tried.at(-1)!.outcome).to.equal('loaded');
    for (const native of result.natives) {
      expect(native.loaded, native.reason).to.equal(true);
      expect(native.tried.at(-1)!.outcome).to.equal('loaded, its ops were there');
    }
    expect(result.runs.map((rounds) => rounds.length)).to.deep.equal([12, 12, 12]);
    for (const digests of result.runs.flat()) expect(digests).to.deep.equal(alone.digests);
  });

  it('a worker thread may end and another begin', async () => {
    const lines = [
      `import { Worker } from 'node:worker_threads';`,
      ...RUN_EVERY_OP,
      'result.runs = [];',
      `for (let n = 0; n < 2; n++) {
        const worker = new Worker(${JSON.stringify(
          workerBody('parentPort.postMessage(digestsOf(everyOp(tfxf)));'),
        )}, { eval: true });
        worker.on('message', (digests) => void result.runs.push(digests));
        await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
      }`,
      'result.digests = digestsOf(everyOp(tfxf));',
    ];
    const { result } = await programs.run<Run & { runs: Digests[] }>('workers_in_turn', lines);
    expect(result.runs.length).to.equal(2);
    for (const digests of [...result.runs, result.digests]) {
      expect(digests).to.deep.equal(alone.digests);
    }
  });
});
