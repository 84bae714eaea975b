// SPDX-License-Identifier: Apache-2.0
/**
 * When the WebGPU part is there. It is nearly half of this package, and only pages on WebGPU need it:
 * the browser entry loads it when tfjs' backend starts, and that backend is not ready before it is.
 *
 * Where the backend runs already, portable kernels serve it in the meantime; so they do if the part
 * cannot be loaded. The usual warning and `whyNotFused` then say so.
 *
 * A page may have several copies of this package. tfjs has one kernel of a name for all of them, so the first
 * part that is loaded serves them all: what one copy tunes or compiles ahead is what every copy's calls run.
 */
import { engine } from '@tensorflow/tfjs-core';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { headDimReasons, registerFusedBackend } from '../spec/support.js';
import { VERSION } from '../version.js';
import { areStandInsServing, registerStandIns, removeStandIns } from './stand_ins.js';
import type * as webgpuKernels from './webgpu_kernels.js';

export type WebGPUPart = typeof webgpuKernels;
type Factory = () => KernelBackend | Promise<KernelBackend>;

/** With the version: another one's part may take other arguments. */
const KEY = Symbol.for(`tfjs-xformers.webgpu.part@${VERSION}`);
const page = globalThis as { [KEY]?: WebGPUPart };

let load: (() => Promise<WebGPUPart>) | null = null;
let loading: Promise<WebGPUPart> | null = null;
let failure: Error | null = null;

/**
 * Takes the part as loaded. Its kernels are registered already, unless the entry for browsers came first: a
 * program may have both, as `tfjs-xformers/node` imports the other one.
 */
export function webgpuPartIs(loaded: WebGPUPart): WebGPUPart {
  const part = (page[KEY] ??= loaded);
  // Not those of another version, which came first.
  if (areStandInsServing()) {
    removeStandIns();
    part.registerWebGPUKernels();
  }
  return part;
}

/** The part if it is there. */
export function loadedWebGPUPart(): WebGPUPart | undefined {
  return page[KEY];
}

/**
 * The part; it is loaded if need be.
 *
 * @param op who asks, for the message.
 * @throws (as a rejection) Error if it cannot be loaded; the next call tries again.
 */
export async function webgpuPart(op: string): Promise<WebGPUPart> {
  if (page[KEY]) return page[KEY];
  loading ??= loadAndRegister().finally(() => (loading = null));
  try {
    return await loading;
  } catch {
    throw new Error(`${op}: ${notLoaded()}. Is that file served, and does the page allow it?`);
  }
}

async function loadAndRegister(): Promise<WebGPUPart> {
  try {
    return webgpuPartIs(await load!());
  } catch (error) {
    failure = error as Error;
    throw error;
  }
}

function notLoaded(): string {
  return `the WebGPU kernels could not be loaded (${failure?.message})`;
}

/** Why the kernels of `webgpu` are portable ones; undefined where they are not, or will not be. */
function whyNotLoaded(): string | undefined {
  // This copy's, or another's that came to be loaded where this one failed.
  if (!areStandInsServing()) return undefined;
  if (failure) return `${notLoaded()}; \`await ready()\` tries again`;
  // Otherwise they are loaded before the backend is ready.
  if (!engine().registry['webgpu']) return undefined;
  // tf.ready() may have been starting it when this package came, which nothing told.
  void loadQuietly();
  return 'the WebGPU kernels are still being loaded; `await ready()` before the first call waits for them';
}

/** Has the part loaded by `load` when `webgpu` starts; portable kernels must be registered. */
export function loadWithBackend(loadPart: () => Promise<WebGPUPart>): void {
  load = loadPart;
  registerStandIns();
  registerFusedBackend('webgpu', (request) => {
    const why = whyNotLoaded();
    return why ? [why] : headDimReasons(request);
  });
  const tfjs = engine();
  const register = tfjs.registerBackend.bind(tfjs);
  tfjs.registerBackend = (name, factory, priority) =>
    register(name, name === 'webgpu' ? withKernels(factory) : factory, priority);
  const registered = tfjs.registryFactory['webgpu'];
  if (!registered) return;
  registered.factory = withKernels(registered.factory);
  // It runs, or is about to, without having waited.
  if (tfjs.registry['webgpu'] || tfjs.backendName === 'webgpu') void loadQuietly();
}

/** What comes of it is in the page, or in `failure`. */
async function loadQuietly(): Promise<void> {
  await webgpuPart('').catch(() => undefined);
}

/** A factory of the backend that is done when the kernels are there as well, or cannot be had. */
function withKernels(factory: Factory): Factory {
  if (page[KEY]) return factory;
  return () => {
    const backend = factory();
    if (page[KEY]) return backend;
    return Promise.all([backend, loadQuietly()]).then(([started]) => started);
  };
}
