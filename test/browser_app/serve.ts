// SPDX-License-Identifier: Apache-2.0
/** Serves folders to the browser of a test. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

export interface Served {
  /** Ends with a slash. */
  url: string;
  close(): void;
}

/** @param places folders by the beginnings of the paths that they serve: '' is the root */
export async function serve(places: Readonly<Record<string, string>>): Promise<Served> {
  const fileOf = (pathname: string) => {
    const names = Object.keys(places).sort((a, b) => b.length - a.length);
    const name = names.find((each) => pathname.startsWith(`/${each}`))!;
    const file = pathname.slice(name.length + 1);
    return path.join(places[name]!, file.endsWith('/') || file === '' ? `${file}index.html` : file);
  };
  const server = createServer((request, response) => {
    const file = fileOf(new URL(request.url!, 'http://localhost').pathname);
    readFile(file).then(
      (content) => {
        const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
        response.setHeader('content-type', type);
        response.end(content);
      },
      () => {
        response.statusCode = 404;
        response.end();
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
