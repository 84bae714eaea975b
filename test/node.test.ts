// SPDX-License-Identifier: Apache-2.0
/** Every suite on the one Node backend that TFXF_BACKEND names (cpu when unset). */
import type { BackendName } from './support/backends.js';
import { nodeBackend } from './support/node_backends.js';
import { backendTitle } from './support/report.js';

const backend = nodeBackend((process.env['TFXF_BACKEND'] ?? 'cpu') as BackendName);
// Before the suites are imported: navigator.gpu has to be there when tfjs' WebGPU backend is loaded by any of them.
await backend.activate();
const { allSuites } = await import('./suites/index.js');

describe(backendTitle(backend), () => {
  for (const suite of allSuites) {
    suite(backend);
  }
});
