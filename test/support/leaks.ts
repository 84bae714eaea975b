// SPDX-License-Identifier: Apache-2.0
import { backend, memory } from '@tensorflow/tfjs-core';

interface Count {
  tensors: number;
  dataBuffers: number;
  /** Counted by the backend itself, so kernels' temporaries are in it. */
  backendData: number;
}

function count(): Count {
  const { numTensors, numDataBuffers } = memory();
  return {
    tensors: numTensors,
    dataBuffers: numDataBuffers,
    backendData: backend().numDataIds(),
  };
}

/** Throws unless `f` leaves as many tensors and as much data behind as there were before. */
export async function withoutLeak<T>(f: () => Promise<T> | T): Promise<T> {
  const before = count();
  const result = await f();
  const after = count();
  for (const kind of ['tensors', 'dataBuffers', 'backendData'] as const) {
    if (after[kind] !== before[kind]) {
      throw new Error(`${after[kind] - before[kind]} ${kind} leaked`);
    }
  }
  return result;
}
