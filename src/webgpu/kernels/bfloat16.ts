// SPDX-License-Identifier: Apache-2.0
/** Host side of the bfloat16 storage kernels on WebGPU. */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { BFloat16Bits, BFloat16Pack, BFloat16Reshape, BFloat16Unpack } from '../../kernel_names.js';
import { reshapeHandle, wordsOfHandle } from '../../bf16/storage.js';
import { sizeOf } from '../../spec/shape.js';
import { webgpuBackend } from '../backend.js';
import type { WebGPUBackend } from '../backend.js';
import { dispatch, makeFloatOutput, makeOutput } from '../dispatcher.js';
import { conversionGrid, packProgram, unpackProgram } from '../programs/bfloat16.js';
import type { Program } from '../program.js';

function convert(backend: WebGPUBackend, program: Program, x: TensorInfo, y: TensorInfo): void {
  const length = x.shape.length === 0 ? 1 : x.shape[x.shape.length - 1]!;
  const { uniforms, groups } = conversionGrid(sizeOf(x.shape), length);
  dispatch(backend, program, [x, y], uniforms, groups);
}

/** float32 tensor -> handle. */
export function pack(backend: WebGPUBackend, x: TensorInfo): TensorInfo {
  const y = makeFloatOutput(backend, x.shape, 'bfloat16');
  convert(backend, packProgram, x, y);
  return y;
}

/** handle -> float32 tensor. */
export function unpack(backend: WebGPUBackend, x: TensorInfo): TensorInfo {
  const y = makeOutput(backend, x.shape);
  convert(backend, unpackProgram, x, y);
  return y;
}

export function registerWebGPUBFloat16(): void {
  const backendName = 'webgpu';
  const packKernel: KernelFunc = ({ inputs, backend }) => pack(webgpuBackend(backend), inputs.x!);
  const unpackKernel: KernelFunc = ({ inputs, backend }) =>
    unpack(webgpuBackend(backend), inputs.x!);
  registerKernel({ kernelName: BFloat16Pack, backendName, kernelFunc: packKernel });
  registerKernel({ kernelName: BFloat16Unpack, backendName, kernelFunc: unpackKernel });
  registerKernel({ kernelName: BFloat16Bits, backendName, kernelFunc: wordsOfHandle });
  registerKernel({ kernelName: BFloat16Reshape, backendName, kernelFunc: reshapeHandle });
}
