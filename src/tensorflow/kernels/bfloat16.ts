// SPDX-License-Identifier: Apache-2.0
/** Host side of the bfloat16 conversions in the native library. */
import type { KernelFunc } from '@tensorflow/tfjs-core';
import { OpAttributes, execute, tensorFlowBackend } from '../backend.js';

export const nativePack: KernelFunc = (call) => {
  const x = call.inputs.x!;
  const backend = tensorFlowBackend(call.backend);
  const attributes = new OpAttributes(backend.binding);
  return execute(backend, { op: 'TfxfBFloat16PackV1', attributes, inputs: [x] }, [x.shape])[0]!;
};

export const nativeUnpack: KernelFunc = (call) => {
  const x = call.inputs.x!;
  const backend = tensorFlowBackend(call.backend);
  const columns = x.shape.length === 0 ? 1 : x.shape[x.shape.length - 1]!;
  const attributes = new OpAttributes(backend.binding).int('columns', columns);
  return execute(backend, { op: 'TfxfBFloat16UnpackV1', attributes, inputs: [x] }, [x.shape])[0]!;
};
