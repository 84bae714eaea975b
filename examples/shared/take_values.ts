// SPDX-License-Identifier: Apache-2.0
import type { Tensor } from '@tensorflow/tfjs-core';

/** The values of a float32 tensor, which is freed, also where they cannot be had: the device may be lost. */
export async function takeValues(x: Tensor): Promise<Float32Array> {
  try {
    return await x.data<'float32'>();
  } finally {
    x.dispose();
  }
}
