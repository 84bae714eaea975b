// SPDX-License-Identifier: Apache-2.0
/** Host side of AppendRows on WebGPU: rows are written into the buffer that is there, while it has room. */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { relabel } from '../../bf16/storage.js';
import { AppendRows, unpackInputs } from '../../kernel_names.js';
import type { AppendRowsAttrs, AppendRowsInputs } from '../../kernel_names.js';
import { packedShape } from '../../spec/dtype.js';
import { sizeOf } from '../../spec/shape.js';
import { webgpuBackend } from '../backend.js';
import { dispatch, makeFloatOutput } from '../dispatcher.js';
import { copyGroups, copyRowsProgram } from '../programs/copy_rows.js';

const appendRows: KernelFunc = (call) => {
  const { present, dtype, from, used, reserve } = call.attrs as unknown as AppendRowsAttrs;
  const { rows, target } = unpackInputs<AppendRowsInputs<TensorInfo>>(present, call.inputs);
  const backend = webgpuBackend(call.backend);
  const [batch, added, ...rest] = rows.shape as [number, number, ...number[]];
  const width = sizeOf(dtype === 'bfloat16' ? packedShape(rest) : rest);
  const copy = (x: TensorInfo, first: number, count: number, to: TensorInfo, at: number) => {
    const uniforms = {
      batch,
      count,
      width,
      from_rows: x.shape[1]!,
      from_first: first,
      to_rows: to.shape[1]!,
      to_first: at,
    };
    dispatch(backend, copyRowsProgram, [x, to], uniforms, copyGroups(batch * count * width));
  };
  if (target && from === 0 && used + added <= target.shape[1]!) {
    copy(rows, 0, added, target, used);
    return relabel(backend, target, target.shape, 'float32');
  }
  const output = makeFloatOutput(backend, [batch, reserve, ...rest], dtype);
  if (target && used > from) copy(target, from, used - from, output, 0);
  copy(rows, 0, added, output, used - from);
  return output;
};

export function registerWebGPUAppendRows(): void {
  registerKernel({ kernelName: AppendRows, backendName: 'webgpu', kernelFunc: appendRows });
}
