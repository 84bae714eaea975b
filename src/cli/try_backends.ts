// SPDX-License-Identifier: Apache-2.0
import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CANDIDATES } from './candidates.js';
import type { Trial } from './candidates.js';

const TIMEOUT_MS = 60_000;

/** trial.js beside this file, or trial.ts when the sources run. */
const here = fileURLToPath(import.meta.url);
const trialFile = path.join(path.dirname(here), `trial${path.extname(here)}`);

/** Tries one candidate in a process of its own; never rejects. */
function tryBackend(index: number): Promise<Trial> {
  const { backend, packages } = CANDIDATES[index]!;
  return new Promise((resolve) => {
    const child = fork(trialFile, [String(index)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env },
    });
    let errors = '';
    let told = false;
    child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    const done = (trial: Trial) => {
      told = true;
      clearTimeout(timer);
      resolve(trial);
    };
    child.on('message', (trial) => done(trial as Trial));
    child.on('exit', (code, signal) => {
      if (told) return;
      const last = errors.trim().split('\n').at(-1) ?? '';
      const ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
      done({
        backend,
        package: packages[0],
        version: null,
        works: false,
        reason: `the process that tried it ended with ${ended}${last && `: ${last}`}`,
      });
    });
  });
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
