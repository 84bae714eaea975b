// SPDX-License-Identifier: Apache-2.0
/** The runner as a process of Node: gets its request from the one that forked it, and sends events back. */
import { provideWebGPU } from '../../../scripts/node_webgpu.js';
import type { Adapter } from '../../../scripts/node_webgpu.js';
import type { Event, Request } from '../protocol.js';

/** Timestamps as they are; browsers round them to 100 µs. */
const FLAGS = ['disable-dawn-features=timestamp_quantization'];
/** Experimental features. */
const UNSAFE = 'enable-dawn-features=allow_unsafe_apis';

/** Resolves when the event has left the process, which may be its last. */
function emit(event: Event): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(event, undefined, undefined, (error) => (error ? reject(error) : resolve()));
  });
}

/** Serves one request and ends the process. */
export async function serveParent(adapter: Adapter): Promise<void> {
  process.once('disconnect', () => process.exit(1));
  const request = await new Promise<Request>((resolve) => process.once('message', resolve));
  try {
    await provideWebGPU(adapter, request.matrices ? [...FLAGS, UNSAFE] : FLAGS);
    // tfjs' WebGPU backend looks for navigator.gpu when it is imported.
    const { runCases } = await import('../run.js');
    await runCases(request, emit);
  } catch (error) {
    await emit({ type: 'fatal', message: error instanceof Error ? error.message : String(error) });
  }
  process.exit(0);
}
