// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the native library: native/build/tfjs_xformers.node, which `tfjs-xformers/node` loads first.
 *
 *     npm run build:native -- [--tests] [--clean] [--jobs N]
 *
 * --tests also builds and runs the unit tests in native/tests; `npm run test:sanitize` runs them under sanitizers.
 */
import { parseArgs } from 'node:util';

import { step } from './console.mjs';
import { buildNative } from './native/build.mjs';

const { values } = parseArgs({
  options: {
    tests: { type: 'boolean', default: false },
    clean: { type: 'boolean', default: false },
    jobs: { type: 'string' },
  },
});
const { jobs: asked, ...options } = values;
const jobs = asked === undefined ? undefined : Number(asked);
if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1)) {
  console.error(`build:native: --jobs is a count, not ${asked}`);
  process.exit(2);
}

step('Build: native library');
const problem = await buildNative({ ...options, ...(jobs === undefined ? {} : { jobs }) });
if (problem !== undefined) {
  console.error(`\n${problem}`);
  process.exit(1);
}
