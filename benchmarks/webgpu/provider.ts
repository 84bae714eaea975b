// SPDX-License-Identifier: Apache-2.0
/** What a provider of results is, for the harness. All of them live in one process, on one device. */
import type { Arrays } from '../shared/inputs.js';
import type { Work } from '../shared/work.js';
import type { Case } from './cases.js';

export interface Provider {
  /** Lines of the heading: package, version. */
  versions: Record<string, string>;
  /** @returns the work, or why the provider cannot do it */
  prepare(c: Case, inputs: Arrays): Promise<Work | string>;
  /** Hands what has been recorded to the queue. */
  flush?(): void;
  /** Frees what the provider keeps for later, between two cases. */
  tidyUp?(): void;
}
