// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';

import { info } from '../../../src/index.js';

const FLAG = 'WEBGPU_MATMUL_PROGRAM_TYPE';
/** tfjs' programs for matrix products, by its own numbers (4.22.0). */
const BY_SHAPE = -1;
const SMALL_OUTPUTS = 2;

/**
 * Runs something with the matrix products that suit a small model. By itself tfjs takes for small products a program in
 * which many threads add up one number; where the threads are the processor's, a character then takes ten times as long
 * to write. Other devices, and what is measured on this page, keep tfjs' own choice.
 */
export async function withSuitedProducts(run: () => Promise<void>): Promise<void> {
  const isSoftware = info().webgpu?.softwareAdapter === true;
  tf.env().set(FLAG, isSoftware ? SMALL_OUTPUTS : BY_SHAPE);
  try {
    await run();
  } finally {
    tf.env().set(FLAG, BY_SHAPE);
  }
}
