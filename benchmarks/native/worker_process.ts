// SPDX-License-Identifier: Apache-2.0
/** The coordinator's side of the protocol: a provider's process, its CPU time and its memory. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Command, Reply } from './protocol.js';

export interface Launch {
  command: string;
  args: readonly string[];
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

export class WorkerProcess {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private resolve: ((reply: Reply) => void) | null = null;
  private ended = '';

  constructor({ command, args }: Launch, environment: Record<string, string>) {
    this.child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.answer(JSON.parse(line) as Reply);
    });
    this.child.on('error', (error) => this.end(error.message));
    this.child.on('exit', (code, signal) => this.end(`ended with ${signal ?? `code ${code}`}`));
    // Writing to a process that has just died: `exit` tells.
    this.child.stdin.on('error', () => undefined);
  }

  private answer(reply: Reply): void {
    const resolve = this.resolve;
    this.resolve = null;
    resolve?.(reply);
  }

  private end(reason: string): void {
    this.ended = `its process ${reason}`;
    this.answer({ error: this.ended });
  }

  /** One command at a time; a process that dies answers with an error. */
  send(command: Command): Promise<Reply> {
    if (this.ended) return Promise.resolve({ error: this.ended });
    return new Promise((resolve) => {
      this.resolve = resolve;
      this.child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  get alive(): boolean {
    return !this.ended;
  }

  /** CPU time of all its threads so far, in clock ticks (10 ms); NaN where there is no /proc. */
  cpuTicks(): number {
    const fields = readProc(this.child.pid!, 'stat').split(') ')[1]?.split(' ');
    return Number(fields?.[11]) + Number(fields?.[12]);
  }

  /** The most memory that it has held, in bytes (VmHWM); NaN where there is no /proc. */
  peakBytes(): number {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(this.child.pid!, 'status'))?.[1];
    return 1024 * Number(kilobytes);
  }

  stop(): Promise<void> {
    if (this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.child.on('exit', () => resolve());
      this.child.stdin.end();
    });
  }
}
