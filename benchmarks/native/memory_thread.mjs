// SPDX-License-Identifier: Apache-2.0
/**
 * One thread of memory_worker.ts: its part of the bytes, and the loop that works at every turn. Plain
 * JavaScript, because a thread starts without what lets the main one read TypeScript.
 *
 * Two words are shared: the number of turns begun, and of the parts that are done with. Between two
 * turns a thread spins for some milliseconds, and then sleeps.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

export const TURN = 0;
export const DONE = 1;
const SPINS = 200_000;
const ABSENT = 255;

/**
 * @typedef {'copy' | 'read'} Kind
 * @typedef {{kind: Kind, bytes: number, words: Int32Array}} Share
 */

/**
 * Half of the bytes is read and half written, by memmove; or all are read, by memchr, which looks for
 * what is not there. The buffers are the thread's own and have been written to.
 *
 * @param {Kind} kind
 * @param {number} bytes
 * @returns {() => void}
 */
export function part(kind, bytes) {
  const source = Buffer.alloc(kind === 'copy' ? bytes / 2 : bytes, 1);
  if (kind === 'read') {
    return () => {
      if (source.indexOf(ABSENT) >= 0) throw new Error('found what is not there');
    };
  }
  const target = Buffer.alloc(bytes / 2, 2);
  return () => target.set(source);
}

/**
 * @param {Int32Array} words
 * @param {number} turn
 */
function waitForTurnAfter(words, turn) {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.load(words, TURN) !== turn) return;
  }
  Atomics.wait(words, TURN, turn);
}

/**
 * Until the thread is terminated.
 *
 * @param {Share} share
 */
function follow({ kind, bytes, words }) {
  const work = part(kind, bytes);
  parentPort?.postMessage('ready');
  for (let turn = 0; ; turn++) {
    waitForTurnAfter(words, turn);
    work();
    Atomics.add(words, DONE, 1);
  }
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-argument -- workerData is of any type
if (!isMainThread) follow(workerData);
