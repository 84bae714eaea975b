// SPDX-License-Identifier: Apache-2.0
/** Opens pages of a folder in headless Chromium, on its software adapters, and waits for what they report. */
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { findChromium, headlessFlags, softwareFlags } from '../../scripts/setup/chromium.mjs';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
/** Many times what a browser and a page need on a machine with nothing else to do. */
const BROWSER_TIMEOUT_MS = 60_000;
const PAGE_TIMEOUT_MS = 15_000;
const FRAMES = 'frames.html';

/** For pages: hands what they have to tell, or an error, to the page that they are frames of. */
export const REPORT = `
const report = (told) => parent.postMessage(told);
const fail = (error) => report({ error: String(error?.stack ?? error) });
addEventListener('error', ({ error, message }) => fail(error ?? message));
addEventListener('unhandledrejection', ({ reason }) => fail(reason));
`;

/** One page after the other, so that each has the processor for itself; then all reports at once. */
const framesOf = (pages: readonly string[]) => `<!doctype html><title>test</title>
<script type="module">
const reports = [];
for (const page of ${JSON.stringify(pages)}) {
  const frame = document.createElement('iframe');
  const told = new Promise((resolve) => addEventListener('message', resolve, { once: true }));
  frame.src = page;
  document.body.append(frame);
  reports.push((await told).data);
  frame.remove();
}
await fetch('/report', { method: 'POST', body: JSON.stringify(reports) });
</script>
`;

export interface Serving {
  /** Files that are not there until the page sends a POST request to /allow. */
  withheld?: RegExp;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += (chunk as Buffer).toString();
  return text;
}

/** A folder stands for its index.js, as a package does on a CDN. */
function contentOf(file: string): Promise<Buffer | null> {
  return readFile(file)
    .catch(() => readFile(path.join(file, 'index.js')))
    .catch(() => null);
}

function serve(
  folder: string,
  pages: readonly string[],
  { withheld }: Serving,
  tell: (text: string) => void,
): Server {
  let allowed = false;
  return createServer((request, response) => {
    void (async () => {
      const name = new URL(request.url!, 'http://localhost').pathname.slice(1);
      if (request.method === 'POST') {
        if (name === 'allow') allowed = true;
        else tell(await bodyOf(request));
        response.end();
        return;
      }
      const hidden = !allowed && withheld?.test(name);
      const content =
        name === FRAMES
          ? framesOf(pages)
          : hidden
            ? null
            : await contentOf(path.join(folder, name));
      response.statusCode = content === null ? 404 : 200;
      // What has no extension is the main file of a package.
      const type = TYPES[path.extname(name) || '.js'];
      response.setHeader('content-type', type ?? 'application/octet-stream');
      response.end(content);
    })();
  });
}

/** What the pages report in one browser; undefined if they have not all said something in time. */
async function reportsOf(
  folder: string,
  pages: readonly string[],
  serving: Serving,
): Promise<string | undefined> {
  let tell: (text: string | undefined) => void;
  const told = new Promise<string | undefined>((resolve) => (tell = resolve));
  const server = serve(folder, pages, serving, (text) => tell(text));
  // A connection that ends while it is idle may end just as a page asks for something over it.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const profile = path.join(folder, '.profile');
  const url = `http://127.0.0.1:${port}/${FRAMES}`;
  const browser = spawn(
    findChromium()!,
    [...headlessFlags, ...softwareFlags, `--user-data-dir=${profile}`, url],
    {
      stdio: 'ignore',
    },
  );
  const closed = new Promise((resolve) => browser.on('close', resolve));
  const limit = BROWSER_TIMEOUT_MS + pages.length * PAGE_TIMEOUT_MS;
  const timer = setTimeout(() => tell(undefined), limit);
  const text = await told;
  clearTimeout(timer);
  browser.kill();
  await closed;
  server.close();
  server.closeAllConnections();
  await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  return text;
}

/**
 * A browser that falls silent on a busy machine, which its software GPU does at times, is said and started once more.
 *
 * @param folder what is served
 * @param pages paths in it
 * @returns what each page reports
 */
export async function openPages<T>(
  folder: string,
  pages: readonly string[],
  serving: Serving = {},
): Promise<T[]> {
  let text = await reportsOf(folder, pages, serving);
  if (text === undefined) {
    console.warn(`      ${pages.join(', ')}: not all said something; once more in a new browser`);
    text = await reportsOf(folder, pages, serving);
  }
  if (text === undefined) throw new Error(`${pages.join(', ')}: not all pages said something`);
  const results = JSON.parse(text) as (T & { error?: string })[];
  results.forEach(({ error }, index) => {
    if (error !== undefined) throw new Error(`${pages[index]}: ${error}`);
  });
  return results;
}
