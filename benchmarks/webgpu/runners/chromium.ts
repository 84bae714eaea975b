// SPDX-License-Identifier: Apache-2.0
/** Starts the runner as a page of headless Chromium, which gets its files and sends its events by HTTP. */
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Adapter } from '../../../scripts/node_webgpu.js';
import { findChromium, headlessFlags } from '../../../scripts/setup/chromium.mjs';
import type { Event, Request } from '../protocol.js';
import type { StartRunner } from './runner.js';

const TYPES: Record<string, string> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

const FLAGS = [...headlessFlags, '--disable-dawn-features=timestamp_quantization'];

/** Chromium keeps WebGPU from most of Linux' GPUs unless it is told otherwise. */
const ADAPTER_FLAGS: Record<Adapter, readonly string[]> = {
  software: ['--use-webgpu-adapter=swiftshader', '--use-angle=swiftshader'],
  hardware: ['--ignore-gpu-blocklist', '--enable-features=Vulkan', '--use-angle=vulkan'],
  auto: ['--ignore-gpu-blocklist'],
};

async function bundlePage(): Promise<string> {
  // Imported here, so that a bundle of this module goes without it.
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Figures that were not measured travel as null. */
function parseEvent(text: string): Event {
  return JSON.parse(text, (_, value: unknown) => (value === null ? NaN : value)) as Event;
}

interface Served {
  page: string;
  request: Request;
  /** What /peers/ stands for. */
  peers: string;
  onEvent(event: Event): void;
}

async function answer(served: Served, request: IncomingMessage, response: ServerResponse) {
  const url = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname);
  // Both are what WebAssembly's threads want.
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
  const send = (type: string, body: string) => {
    response.setHeader('Content-Type', type);
    response.end(body);
  };
  if (url === '/') {
    send(
      'text/html',
      '<!doctype html><title>bench</title><script type="module" src="/page.js"></script>',
    );
  } else if (url === '/page.js') send('text/javascript', served.page);
  else if (url === '/request') send('application/json', JSON.stringify(served.request));
  else if (url === '/event') {
    served.onEvent(parseEvent(await bodyOf(request)));
    response.end();
  } else {
    const file = path.join(served.peers, path.normalize(url.replace(/^\/peers\//, '/')));
    if (!url.startsWith('/peers/') || !existsSync(file)) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader('Content-Type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  }
}

function listen(served: Served): Promise<Server> {
  const server = createServer((request, response) => {
    answer(served, request, response).catch(() => response.destroy());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Chromium's helpers may still write to it for a moment; what is left of it does no harm. */
function removeProfile(profile: string): void {
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  } catch (error) {
    console.error(`${profile} is left: ${String(error)}`);
  }
}

/** Peers' files are below this folder; their addresses are those of /peers/ (peerUrl). */
export function chromiumRunner(adapter: Adapter, peers: string): StartRunner {
  return async (request, onEvent) => {
    const chromium = findChromium();
    if (chromium === undefined) {
      throw new Error('There is no Chromium: install one or set CHROME_BIN (npm run setup does).');
    }
    const server = await listen({ page: await bundlePage(), request, peers, onEvent });
    const profile = mkdtempSync(path.join(tmpdir(), 'bench-webgpu-'));
    const { port } = server.address() as AddressInfo;
    const child = spawn(
      chromium,
      [
        ...FLAGS,
        ...ADAPTER_FLAGS[adapter],
        `--user-data-dir=${profile}`,
        `http://localhost:${port}/`,
      ],
      { stdio: 'ignore' },
    );
    const ended = new Promise<string>((resolve) => {
      child.on('error', ({ message }) => resolve(message));
      child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    }).finally(() => {
      server.closeAllConnections();
      server.close();
      removeProfile(profile);
    });
    const stop = () => void child.kill('SIGTERM');
    process.once('exit', stop);
    return { ended, stop };
  };
}

/** Where a page finds a peer's file. */
export const peerUrl = (peers: string, file: string): string =>
  `/peers/${path.relative(peers, file).split(path.sep).join('/')}`;
