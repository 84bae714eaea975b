// SPDX-License-Identifier: Apache-2.0
import type { Tensor } from '@tensorflow/tfjs-core';
import { isBFloat16 } from '../../src/index.js';
import type { FloatTensor } from '../../src/spec/dtype.js';

/** The result of an op, where it must be a float32 tensor. */
export function float32Result(x: FloatTensor): Tensor {
  if (isBFloat16(x)) throw new TypeError('the result is bfloat16');
  return x;
}
