// SPDX-License-Identifier: Apache-2.0
/** Opens a page of a folder in headless Chromium, on its software adapters, and waits for what the page reports. */
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { findChromium, headlessFlags, softwareFlags } from '../../scripts/setup/chromium.mjs';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
const TIMEOUT_MS = 90_000;

/** For pages: sends what `main` resolves with, or what it throws, to the test. */
export const REPORT = `
const report = (told) => fetch('/report', { method: 'POST', body: JSON.stringify(told) });
const fail = (error) => report({ error: String(error?.stack ?? error) });
addEventListener('error', ({ error, message }) => fail(error ?? message));
addEventListener('unhandledrejection', ({ reason }) => fail(reason));
`;

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += (chunk as Buffer).toString();
  return text;
}

/**
 * @param folder what is served
 * @param page a path in it
 * @returns what the page reports
 */
export async function openPage<T>(folder: string, page: string): Promise<T> {
  let tell: (text: string) => void;
  const told = new Promise<string>((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    void (async () => {
      if (request.method === 'POST') {
        tell(await bodyOf(request));
        response.end();
        return;
      }
      const file = path.join(folder, new URL(request.url!, 'http://localhost').pathname);
      const content = await readFile(file).catch(() => null);
      response.statusCode = content ? 200 : 404;
      response.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
      response.end(content);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const profile = path.join(folder, '.profile');
  const url = `http://127.0.0.1:${port}/${page}`;
  const browser = spawn(
    findChromium()!,
    [...headlessFlags, ...softwareFlags, `--user-data-dir=${profile}`, url],
    {
      stdio: 'ignore',
    },
  );
  const closed = new Promise((resolve) => browser.on('close', resolve));
  const timer = setTimeout(() => tell('{"error": "the page said nothing"}'), TIMEOUT_MS);
  const result = JSON.parse(await told) as T & { error?: string };
  clearTimeout(timer);
  browser.kill();
  await closed;
  server.close();
  server.closeAllConnections();
  await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  if (result.error !== undefined) throw new Error(`${page}: ${result.error}`);
  return result;
}
