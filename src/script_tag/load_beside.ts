// SPDX-License-Identifier: Apache-2.0
/**
 * Loads the second file of the script-tag bundle from where the first one came, by a script tag of its
 * own or, in a worker, by importScripts. Unlike `import()` that works with file:// and needs no module.
 *
 * The second file leaves a function under a symbol; called with the modules that it shares with the
 * first, it gives the WebGPU part. A page or worker that has loaded it by itself needs nothing to be loaded.
 */
import { VERSION } from '../version.js';
import type { WebGPUPart } from '../webgpu/loading.js';

type MakePart = (shared: object) => WebGPUPart;

const FILE = 'tfjs-xformers.webgpu.min.js';
/** With the version: a CDN may serve files of two releases for a while. */
const KEY = Symbol.for(`tfjs-xformers.webgpu@${VERSION}`);

interface Scope {
  [KEY]?: MakePart;
  /** Not in workers. */
  document?: Document;
  /** In workers. */
  importScripts?: (url: string) => void;
}
const scope = globalThis as unknown as Scope;

/**
 * Where the first file came from, which is known only while it runs for the first time. In a worker a stack has it, as
 * "address:line:column".
 */
const tag = scope.document?.currentScript as HTMLScriptElement | null | undefined;
const source = tag?.src ?? /[\w-]+:\S+?(?=:\d+:\d+)/.exec(new Error().stack ?? '')?.[0];

const BY_ITSELF = 'load it by a script tag of its own, in a worker by importScripts()';

function urlBeside(): string {
  // The code of the first file may stand in the page, or in a blob.
  if (!source || /^(blob|data):/.test(source)) {
    throw new Error(`nothing tells where ${FILE} is: ${BY_ITSELF}`);
  }
  const { pathname } = new URL(source);
  // The address of a package on a CDN stands for its main file.
  const isFile = pathname.endsWith('.js');
  return new URL(isFile ? FILE : `${pathname.replace(/\/$/, '')}/dist/${FILE}`, source).href;
}

function run(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`${url} did not arrive; if it is elsewhere, ${BY_ITSELF}`));
    if (!scope.document) {
      try {
        resolve(scope.importScripts!(url));
      } catch {
        fail();
      }
      return;
    }
    const script = scope.document.createElement('script');
    script.src = url;
    script.nonce = tag?.nonce ?? '';
    script.crossOrigin = tag?.crossOrigin ?? null;
    script.onload = () => resolve();
    script.onerror = fail;
    scope.document.head.append(script);
  });
}

/** @throws (as a rejection) Error if the file does not arrive, or is of another version. */
export async function loadBeside(shared: object): Promise<WebGPUPart> {
  if (!scope[KEY]) {
    const url = urlBeside();
    await run(url);
    if (!scope[KEY]) throw new Error(`${url} is not of version ${VERSION}`);
  }
  return scope[KEY](shared);
}
