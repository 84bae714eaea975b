// SPDX-License-Identifier: Apache-2.0
/** Starts the runner in a process of Node: this program once more, with --runner. */
import { fork } from 'node:child_process';
import type { Adapter } from '../../../scripts/node_webgpu.js';
import type { Event } from '../protocol.js';
import type { StartRunner } from './runner.js';

export function nodeRunner(adapter: Adapter): StartRunner {
  return (request, onEvent) => {
    const child = fork(process.argv[1]!, ['--runner', '--adapter', adapter], {
      // Garbage of one case is not to be collected while the next is timed.
      execArgv: [...process.execArgv, '--expose-gc'],
      serialization: 'advanced',
    });
    child.on('message', (event) => onEvent(event as Event));
    child.on('spawn', () => child.send(request));
    const ended = new Promise<string>((resolve) => {
      child.on('error', ({ message }) => resolve(message));
      child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    return Promise.resolve({ ended, stop: () => void child.kill('SIGKILL') });
  };
}
