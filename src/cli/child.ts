// SPDX-License-Identifier: Apache-2.0
/** Runs a module of this command as a process of its own, and lets none of them outlive the command. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const running = new Set<ChildProcess>();

/** Ends all of them, at once: what they compute is of no use to anybody. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface ChildRun {
  /** Relative to this file, without extension: .js in the package, .ts when the sources run. */
  module: string;
  argument: string;
  timeoutMs: number;
  onMessage: (message: unknown) => void;
}

/** How a process ended, in words; its last line on stderr says more than its exit code. */
function endOf(code: number | null, signal: string | null, timedOut: boolean, errors: string) {
  if (timedOut) return 'took too long and was stopped';
  const last = errors.trim().split('\n').at(-1) ?? '';
  return `ended with ${signal === null ? `exit code ${code}` : `signal ${signal}`}${last && `: ${last}`}`;
}

/** Runs one; never rejects. @returns null, or how the process failed */
export function runChild({ module, argument, timeoutMs, onMessage }: ChildRun) {
  const here = fileURLToPath(import.meta.url);
  const file = path.join(path.dirname(here), `${module}${path.extname(here)}`);
  return new Promise<string | null>((resolve) => {
    const child = fork(file, [argument], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env },
    });
    running.add(child);
    let errors = '';
    let timedOut = false;
    child.stderr?.on('data', (text: Buffer) => (errors += text.toString()));
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('message', onMessage);
    child.on('error', ({ message }) => resolve(`could not be started: ${message}`));
    child.on('close', (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      resolve(code === 0 ? null : endOf(code, signal, timedOut, errors));
    });
  });
}
