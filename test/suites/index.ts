// SPDX-License-Identifier: Apache-2.0
import type { Suite } from '../support/backends.js';
import { suite as backendSuite } from './backend.js';

/** Every suite, in the order in which they run. */
export const allSuites: readonly Suite[] = [backendSuite];
