// SPDX-License-Identifier: Apache-2.0
/**
 * What the address can ask for: `?backend=webgl&seconds=0.5`.
 *
 * | `backend` | `webgpu`, `webgl` or `cpu`; what does not work here is passed over |
 * | `seconds` | the longest call that is measured; longer ones are not begun |
 */
import { BACKENDS } from '../device/start_backend.js';
import type { BackendName } from '../device/start_backend.js';

export interface PageOptions {
  backend: BackendName | null;
  seconds: number | null;
}

function isBackend(name: string | null): name is BackendName {
  return (BACKENDS as readonly (string | null)[]).includes(name);
}

export function readPageOptions(search: string): PageOptions {
  const given = new URLSearchParams(search);
  const backend = given.get('backend');
  const seconds = Number(given.get('seconds'));
  return {
    backend: isBackend(backend) ? backend : null,
    seconds: Number.isFinite(seconds) && seconds > 0 ? seconds : null,
  };
}
