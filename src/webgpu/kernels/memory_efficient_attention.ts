// SPDX-License-Identifier: Apache-2.0
/** Host side of MemoryEfficientAttention on WebGPU. */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { MemoryEfficientAttention, unpackAttentionInputs } from '../../kernel_names.js';
import type { AttentionAttrs, AttentionInputs } from '../../kernel_names.js';
import { portableAttention } from './portable.js';
import { outputShape } from '../../spec/attention_layout.js';
import { webgpuBackend } from '../backend.js';
import { makeFloatOutput, makeOutput } from '../dispatcher.js';
import { forwardProgram } from '../programs/attention_programs.js';
import { isSplit } from '../split_tile.js';
import { attentionCall, dispatchTiles, isFused, variantOf } from './attention_call.js';
import { dispatchSplit } from './attention_split.js';

const memoryEfficientAttention: KernelFunc = (kernelCall) => {
  const attrs = kernelCall.attrs as unknown as AttentionAttrs;
  const inputs = unpackAttentionInputs<AttentionInputs<TensorInfo>>(attrs, kernelCall.inputs);
  const call = attentionCall(webgpuBackend(kernelCall.backend), attrs, inputs);
  if (!isFused(call)) return portableAttention(kernelCall);
  const { backend, dims } = call;
  const variant = {
    ...variantOf(call, 'forward'),
    output: attrs.outputDtype,
    sink: inputs.sink !== undefined,
  };
  const output = makeFloatOutput(backend, outputShape(attrs.layout, dims), attrs.outputDtype);
  const logSumExp = makeOutput(backend, [dims.batch, dims.heads, dims.queries]);
  const sink = inputs.sink ? [inputs.sink] : [];
  if (isSplit(variant.tile)) {
    dispatchSplit(call, variant, variant.tile, [...sink, output, logSumExp]);
    return [output, logSumExp];
  }
  dispatchTiles(call, forwardProgram(variant), variant, 'queries', [...sink, output, logSumExp]);
  return [output, logSumExp];
};

export function registerWebGPUAttention(): void {
  registerKernel({
    kernelName: MemoryEfficientAttention,
    backendName: 'webgpu',
    kernelFunc: memoryEfficientAttention,
  });
}
