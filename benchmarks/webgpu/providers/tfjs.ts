// SPDX-License-Identifier: Apache-2.0
/** Providers that are based on tfjs: this package, what a user of plain tfjs writes, and tf.layers. */
import * as tf from '@tensorflow/tfjs-core';
import type { Formulas } from '../../shared/tfjs_formulas.js';
import { tfjsWork } from '../../shared/tfjs_work.js';
import type { Work } from '../../shared/work.js';
import { isModel } from '../cases.js';
import type { ModelCase } from '../cases.js';
import type { Provider } from '../provider.js';

/** tfjs' WebGPUBackend, as far as it is used here; private in its types are `freeBuffers` and its counts. */
interface Backend {
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  bufferManager: {
    freeBuffers: Map<string, GPUBuffer[]>;
    numFreeBuffers: number;
    numBytesAllocated: number;
  };
}

const backend = () => tf.backend() as unknown as Backend;

/** Hands all that is recorded to the queue: tfjs waits for fifteen dispatches. */
function flush(): void {
  const running = backend();
  running.ensureCommandEncoderReady();
  running.endComputePassEncoder();
  running.submitQueue();
}

/** tfjs keeps every buffer that was ever free; without this a long case would starve the next. */
function destroyFreeBuffers(): void {
  const manager = backend().bufferManager;
  for (const buffers of manager.freeBuffers.values()) {
    for (const buffer of buffers) {
      manager.numBytesAllocated -= buffer.size;
      buffer.destroy();
    }
    manager.numFreeBuffers -= buffers.length;
    buffers.length = 0;
  }
}

/** How a provider makes a whole model, if it does. */
type MakeModel = (c: ModelCase) => Work;

export function tfjsProvider(
  formulas: Formulas,
  versions: Record<string, string>,
  makeModel?: MakeModel,
): Provider {
  return {
    versions,
    prepare: (c, inputs) => {
      if (isModel(c)) return Promise.resolve(makeModel?.(c) ?? 'no model');
      const formula = formulas(c);
      if (typeof formula === 'string') return Promise.resolve(formula);
      const read = (name: string) => Promise.resolve(inputs[name]!);
      return tfjsWork(c, formula, Object.keys(inputs), read);
    },
    flush,
    tidyUp: () => {
      flush();
      destroyFreeBuffers();
    },
  };
}
