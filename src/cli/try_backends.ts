// SPDX-License-Identifier: Apache-2.0
import { CANDIDATES } from './candidates.js';
import type { Trial } from './candidates.js';
import { runChild } from './child.js';

const TIMEOUT_MS = 60_000;

/** Tries one candidate in a process of its own; never rejects. */
async function tryBackend(index: number): Promise<Trial> {
  const { backend, packages } = CANDIDATES[index]!;
  let trial: Trial | undefined;
  const failure = await runChild({
    module: 'trial',
    argument: String(index),
    timeoutMs: TIMEOUT_MS,
    onMessage: (message) => (trial = message as Trial),
  });
  if (trial) return trial;
  const reason = `the process that tried it ${failure ?? 'said nothing'}`;
  return { backend, package: packages[0], version: null, works: false, reason };
}

/** Tries every backend that Node may have, one after the other. */
export async function tryBackends(onStart: (name: string) => void): Promise<Trial[]> {
  const trials: Trial[] = [];
  for (const [index, { packages }] of CANDIDATES.entries()) {
    onStart(packages[0]);
    trials.push(await tryBackend(index));
  }
  return trials;
}
