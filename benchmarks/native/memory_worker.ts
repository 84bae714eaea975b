// SPDX-License-Identifier: Apache-2.0
/**
 * The machine's own limit for work that memory bounds, as providers of benchmarks/native.ts: the
 * bytes that a case cannot avoid, copied (half of them read, half written) or only read. Every thread
 * has buffers of its own (memory_thread.mjs).
 *
 *     node --import tsx benchmarks/native/memory_worker.ts copy|read
 */
import { Worker } from 'node:worker_threads';
import { bytesOf } from '../shared/case.js';
import type { Work } from '../shared/work.js';
import { DONE, TURN, part } from './memory_thread.mjs';
import type { Kind, Share } from './memory_thread.mjs';
import type { CaseWithFiles } from './protocol.js';
import { serve } from './serve.js';

const kind = process.argv[2] as Kind;
let threads = 1;

/** Resolves when the thread has its buffers. */
async function start(share: Share): Promise<Worker> {
  const worker = new Worker(new URL('memory_thread.mjs', import.meta.url), { workerData: share });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

async function prepare(c: CaseWithFiles): Promise<Work> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  // Whole cache lines for each thread.
  const bytes = 128 * Math.ceil(bytesOf(c) / threads / 128);
  const others = await Promise.all(
    Array.from({ length: threads - 1 }, () => start({ kind, bytes, words })),
  );
  const work = part(kind, bytes);
  let turns = 0;
  const run = () => {
    turns = Atomics.add(words, TURN, 1) + 1;
    Atomics.notify(words, TURN);
    work();
    while (Atomics.load(words, DONE) < turns * others.length);
  };
  return {
    run,
    outputs: () => Promise.resolve({}),
    release: async () => {
      for (const worker of others) await worker.terminate();
    },
  };
}

await serve({
  hello: (count) => {
    threads = count;
    return Promise.resolve({});
  },
  prepare,
});
