// SPDX-License-Identifier: Apache-2.0
/**
 * Host side of the attention gradients on WebGPU: the row statistics, then one pass for dQ and one
 * for dK and dV; the bias and the sink have kernels of their own, run only if their gradient is asked.
 */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import {
  MemoryEfficientAttentionBiasGrad,
  MemoryEfficientAttentionGrad,
  MemoryEfficientAttentionSinkGrad,
  unpackAttentionInputs,
} from '../../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../../kernel_names.js';
import { tellFallback } from '../../ops/fallback.js';
import {
  portableAttentionBiasGrad,
  portableAttentionGrad,
  portableAttentionSinkGrad,
} from './portable.js';
import { sizeOf } from '../../spec/shape.js';
import { webgpuBackend } from '../backend.js';
import { dispatch, makeOutput } from '../dispatcher.js';
import { attentionDbiasProgram, DBIAS_WORKGROUP } from '../programs/attention_dbias.js';
import { attentionDeltaProgram, DELTA_WORKGROUP } from '../programs/attention_delta.js';
import { attentionDsinkProgram } from '../programs/attention_dsink.js';
import { dkdvProgram, dqProgram } from '../programs/attention_programs.js';
import {
  attentionCall,
  dispatchTiles,
  isFused,
  rowUniformsOf,
  uniformsOf,
  variantOf,
} from './attention_call.js';
import type { AttentionCall } from './attention_call.js';

interface GradCall extends AttentionCall {
  inputs: AttentionGradInputs<TensorInfo>;
}

function gradCall(kernelCall: Parameters<KernelFunc>[0]): GradCall {
  const attrs = kernelCall.attrs as unknown as AttentionAttrs;
  const inputs = unpackAttentionInputs<AttentionGradInputs<TensorInfo>>(attrs, kernelCall.inputs);
  return { ...attentionCall(webgpuBackend(kernelCall.backend), attrs, inputs), inputs };
}

/** (logSumExp in base 2, delta) of each row, [B, H, Mq, 2]; the caller disposes it. */
function rowStatistics(call: GradCall): TensorInfo {
  const { backend, attrs, inputs, dims } = call;
  const { batch, heads, queries, valueDim } = dims;
  const { doutput, output, logSumExp, dlogSumExp } = inputs;
  const rows = batch * heads * queries;
  const stats = makeOutput(backend, [batch, heads, queries, 2]);
  const program = attentionDeltaProgram({
    v: valueDim,
    output: attrs.outputDtype,
    dlse: dlogSumExp !== undefined,
  });
  const gradient = dlogSumExp ? [dlogSumExp] : [];
  dispatch(
    backend,
    program,
    [doutput, output, logSumExp, ...gradient, stats],
    { rows, queries, heads, ...rowUniformsOf(call) },
    Math.ceil(rows / DELTA_WORKGROUP),
  );
  return stats;
}

const attentionGrad: KernelFunc = (kernelCall) => {
  const call = gradCall(kernelCall);
  const { backend, attrs, inputs } = call;
  if (!isFused(call)) return portableAttentionGrad(kernelCall);
  if (attrs.plan.pages) {
    // Then a key row has no single owner; portable kernels sum over the blocks.
    tellFallback('the gradient of memoryEfficientAttention', 'pages of keys may be shared');
    return portableAttentionGrad(kernelCall);
  }
  const stats = rowStatistics(call);
  const packed = attrs.layout === 'packed';
  const operands = packed ? [inputs.query] : [inputs.query, inputs.key, inputs.value];
  const gradients = operands.map(({ shape }) => makeOutput(backend, shape));
  // Packed, dq is all of the one gradient.
  const [dq, ...dkdv] = gradients as [TensorInfo, ...TensorInfo[]];
  const dqVariant = variantOf(call, 'dq');
  dispatchTiles(call, dqProgram(dqVariant), dqVariant, 'queries', [inputs.doutput, stats, dq]);
  const dkdvVariant = { ...variantOf(call, 'dkdv'), packed };
  dispatchTiles(call, dkdvProgram(dkdvVariant), dkdvVariant, 'keys', [
    inputs.doutput,
    stats,
    ...(packed ? gradients : dkdv),
  ]);
  backend.disposeData(stats.dataId);
  return gradients;
};

const attentionBiasGrad: KernelFunc = (kernelCall) => {
  const call = gradCall(kernelCall);
  if (!isFused(call)) return portableAttentionBiasGrad(kernelCall);
  const { backend, inputs } = call;
  const { query, key, value, bias, doutput } = inputs;
  const stats = rowStatistics(call);
  const dbias = makeOutput(backend, bias!.shape);
  const [b, h, i, j] = bias!.shape;
  dispatch(
    backend,
    attentionDbiasProgram(variantOf(call, 'dq')),
    [query, key, value, bias!, doutput, stats, dbias],
    { ...uniformsOf(call), shape_b: b!, shape_h: h!, shape_i: i!, shape_j: j! },
    Math.ceil(sizeOf(bias!.shape) / DBIAS_WORKGROUP),
  );
  backend.disposeData(stats.dataId);
  return dbias;
};

const attentionSinkGrad: KernelFunc = (kernelCall) => {
  const call = gradCall(kernelCall);
  if (!isFused(call)) return portableAttentionSinkGrad(kernelCall);
  const { backend, inputs, dims } = call;
  const stats = rowStatistics(call);
  const dsink = makeOutput(backend, [dims.heads]);
  const { batch, heads, queries } = dims;
  dispatch(
    backend,
    attentionDsinkProgram,
    [inputs.sink!, stats, dsink],
    { batch, heads, queries },
    heads,
  );
  backend.disposeData(stats.dataId);
  return dsink;
};

export function registerWebGPUAttentionGrad(): void {
  const kernels: [string, KernelFunc][] = [
    [MemoryEfficientAttentionGrad, attentionGrad],
    [MemoryEfficientAttentionBiasGrad, attentionBiasGrad],
    [MemoryEfficientAttentionSinkGrad, attentionSinkGrad],
  ];
  for (const [kernelName, kernelFunc] of kernels) {
    registerKernel({ kernelName, backendName: 'webgpu', kernelFunc });
  }
}
