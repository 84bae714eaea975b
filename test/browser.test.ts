// SPDX-License-Identifier: Apache-2.0
/** Every suite on every browser backend, or on those that `karma start -- --backends=a,b` names. */
import type { BackendName } from './support/backends.js';
import { browserBackend, browserBackendNames } from './support/browser_backends.js';
import { backendTitle } from './support/report.js';
import { allSuites } from './suites/index.js';

interface KarmaWindow {
  __karma__?: { config?: { args?: string[] } };
}

function wantedBackends(): readonly BackendName[] {
  const args = (globalThis as KarmaWindow).__karma__?.config?.args ?? [];
  const prefix = '--backends=';
  const list = args.find((arg) => arg.startsWith(prefix))?.slice(prefix.length);
  return list ? (list.split(',') as BackendName[]) : browserBackendNames;
}

for (const name of wantedBackends()) {
  const backend = browserBackend(name);
  describe(backendTitle(backend), () => {
    before(() => backend.activate());
    for (const suite of allSuites) {
      suite(backend);
    }
  });
}
