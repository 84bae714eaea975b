// SPDX-License-Identifier: Apache-2.0
/** The runner as a page: runners/chromium.ts bundles and serves it. */
import type { Event, Request } from '../protocol.js';
import { runCases } from '../run.js';

async function emit(event: Event): Promise<void> {
  // NaN is no JSON: it arrives as null, and is put back there.
  await fetch('/event', { method: 'POST', body: JSON.stringify(event) });
}

const response = await fetch('/request');
await runCases((await response.json()) as Request, emit);
