// SPDX-License-Identifier: Apache-2.0
/**
 * Drives headless Chromium by its DevTools protocol, over a pipe: messages of JSON that end with a zero byte, on two file
 * descriptors of the browser. No port is opened, and nothing beyond Node is needed.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

import { findChromium, headlessFlags, softwareFlags } from '../../scripts/setup/chromium.mjs';

/** An answer, or with `method` an event. */
interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  sessionId?: string;
  result?: unknown;
  error?: { message: string };
}

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

export class Chromium {
  private nextId = 1;
  private readonly waiting = new Map<number, Waiting>();
  private readonly listeners = new Set<(message: Message) => void>();
  private rest = '';

  private constructor(
    private readonly browser: ChildProcess,
    private readonly profile: string,
  ) {
    const output = browser.stdio[4] as Readable;
    output.setEncoding('utf8');
    output.on('data', (chunk: string) => this.read(chunk));
    browser.on('exit', (code) => this.fail(new Error(`Chromium has ended (${code})`)));
  }

  static async start(): Promise<Chromium> {
    const profile = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-profile-'));
    const flags = [...headlessFlags, ...softwareFlags, '--remote-debugging-pipe'];
    const browser = spawn(
      findChromium()!,
      [...flags, '--mute-audio', `--user-data-dir=${profile}`, 'about:blank'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    return new Chromium(browser, profile);
  }

  /** Calls a method of the protocol. @param sessionId of the page that it concerns */
  send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = this.nextId++;
    const input = this.browser.stdio[3] as Writable;
    input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise<unknown>((resolve, reject) => {
      this.waiting.set(id, {
        resolve,
        reject: (error) => reject(new Error(`${method}: ${error.message}`)),
      });
    }) as Promise<T>;
  }

  /** Calls back for each event of a page. @returns what ends that */
  listen(
    sessionId: string,
    take: (method: string, params: Record<string, unknown>) => void,
  ): () => void {
    const listener = (message: Message) => {
      if (message.sessionId === sessionId && message.method !== undefined) {
        take(message.method, message.params ?? {});
      }
    };
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.browser.once('close', resolve));
    // Its answer may not come any more.
    this.send('Browser.close').catch(() => undefined);
    const timer = setTimeout(() => this.browser.kill('SIGKILL'), 10_000);
    await closed;
    clearTimeout(timer);
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  private read(chunk: string): void {
    const parts = (this.rest + chunk).split('\0');
    this.rest = parts.pop()!;
    for (const part of parts) this.take(JSON.parse(part) as Message);
  }

  private take(message: Message): void {
    if (message.id === undefined) {
      for (const listener of this.listeners) listener(message);
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) waiting?.reject(new Error(message.error.message));
    else waiting?.resolve(message.result);
  }

  private fail(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
