// SPDX-License-Identifier: Apache-2.0
/**
 * Every suite on the one Node backend that TFXF_BACKEND names (cpu when unset). For `tensorflow`, TFXF_TENSORFLOW
 * names the package that brings it and TFXF_KERNELS is native or portable.
 */
import type { BackendName } from './support/backends.js';
import { nodeBackend, tensorFlowKernels } from './support/node_backends.js';
import { backendTitle } from './support/report.js';

const backend = nodeBackend((process.env['TFXF_BACKEND'] ?? 'cpu') as BackendName);
// Before the suites are imported: navigator.gpu has to be there when tfjs' WebGPU backend is loaded by any of them.
await backend.activate();
const { allSuites } = await import('./suites/index.js');

function describeSuites(): void {
  for (const suite of allSuites) {
    suite(backend);
  }
}

async function describeTensorFlow(): Promise<() => void> {
  const calls = await import('./support/native_calls.js');
  const counts = calls.countOps();
  return () => {
    describe('kernels, at first', () => calls.testThatTheyServe(tensorFlowKernels, counts));
    describeSuites();
    describe('kernels, at last', () => calls.testThatTheyServed(tensorFlowKernels, counts));
  };
}

const tests = backend.name === 'tensorflow' ? await describeTensorFlow() : describeSuites;
describe(backendTitle(backend), tests);
