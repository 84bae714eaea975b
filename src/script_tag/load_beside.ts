// SPDX-License-Identifier: Apache-2.0
/**
 * Loads the second file of the script-tag bundle from where the first one came, by a script tag of its
 * own or, in a worker, by importScripts. Unlike `import()` that works with file:// and needs no module.
 *
 * The second file leaves a function under a symbol; called with the modules that it shares with the
 * first, it gives the WebGPU part. A page that has loaded it by itself needs nothing to be loaded.
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

/** Known only while the first file runs for the first time. */
const tag = scope.document?.currentScript as HTMLScriptElement | null | undefined;
const source = tag?.src ?? /\w+:\/\/\S+?\.js(?=[?:])/.exec(new Error().stack ?? '')?.[0];

function urlBeside(): string {
  if (!source) {
    throw new Error(`nothing tells where ${FILE} is: load it by a script tag of its own`);
  }
  const { pathname } = new URL(source);
  // The address of a package on a CDN stands for its main file.
  const isFile = pathname.endsWith('.js');
  return new URL(isFile ? FILE : `${pathname.replace(/\/$/, '')}/dist/${FILE}`, source).href;
}

function run(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!scope.document) {
      scope.importScripts!(url);
      resolve();
      return;
    }
    const script = scope.document.createElement('script');
    script.src = url;
    script.nonce = tag?.nonce ?? '';
    script.crossOrigin = tag?.crossOrigin ?? null;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error(`${url} did not arrive`));
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
