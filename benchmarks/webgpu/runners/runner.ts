// SPDX-License-Identifier: Apache-2.0
/** A runner, as the coordinator sees it. */
import type { Event, Request } from '../protocol.js';

export interface Run {
  /** How it ended, once it has. */
  ended: Promise<string>;
  stop: () => void;
}

/** Starts a runner that works on the request, and reports to `onEvent`. */
export type StartRunner = (request: Request, onEvent: (event: Event) => void) => Promise<Run>;
