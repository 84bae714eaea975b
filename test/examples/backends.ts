// SPDX-License-Identifier: Apache-2.0
/** Tests of examples run on two backends of Node: TensorFlow's with this package's library where it is, and tfjs' own. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import { skip } from '../support/report.js';

/** Describes the same tests on `cpu` and on `tensorflow`. */
export function onBackends(title: string, tests: (backend: string) => void): void {
  for (const backend of ['cpu', 'tensorflow']) {
    describe(`${title} on ${backend}`, function () {
      this.timeout(120_000);
      before(async function () {
        if (backend === 'tensorflow') {
          if (!(await tensorFlowWorks())) skip(this, '@tensorflow/tfjs-node-gpu does not run');
          await import('@tensorflow/tfjs-node-gpu');
          await import('../../src/node.js');
        }
        await tf.setBackend(backend);
      });
      tests(backend);
    });
  }
}
