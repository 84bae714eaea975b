// SPDX-License-Identifier: Apache-2.0
/** Host side of FusedNorm and FusedNormGrad on WebGPU: variants, buffers and grids. */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { FusedNorm, FusedNormGrad, unpackInputs } from '../../kernel_names.js';
import type { NormAttrs, NormGradAttrs, NormGradInputs, NormInputs } from '../../kernel_names.js';
import { portableFusedNorm, portableFusedNormGrad } from './portable.js';
import { sizeOf } from '../../spec/shape.js';
import { webgpuBackend } from '../backend.js';
import type { WebGPUBackend } from '../backend.js';
import { normChoice } from '../candidates.js';
import { choose } from '../choices.js';
import { dispatch, makeFloatOutput, makeOutput } from '../dispatcher.js';
import {
  COLUMN_WORKGROUP,
  normColumnSumProgram,
  normPartialProgram,
} from '../programs/norm_dgamma.js';
import { normDxDirectProgram } from '../programs/norm_dx_direct.js';
import { normDxProgram } from '../programs/norm_dx.js';
import { normForwardProgram, normRowsPerGroup } from '../programs/norm_forward.js';
import {
  NORM_BLOCK,
  NORM_DIRECT_ROWS,
  normForwardDirectProgram,
} from '../programs/norm_forward_direct.js';
import { deviceFacts, normBlockRows } from '../tuning.js';
import { quadsOf } from '../wgsl/tensor.js';

interface Rows {
  rows: number;
  length: number;
  aligned: boolean;
  lanes: number;
  /** Whether the programs for software adapters and whole blocks take these rows. */
  direct: boolean;
  /** Workgroups of the programs that go by rows. */
  groups: number;
}

function rowsOf(backend: WebGPUBackend, shape: number[]): Rows {
  const length = shape[shape.length - 1]!;
  const rows = sizeOf(shape) / length;
  const { device } = backend;
  const lanes = choose(device, normChoice(deviceFacts(device), rows, length));
  const direct = lanes === 1 && length % NORM_BLOCK === 0;
  const groups = Math.ceil(rows / (direct ? NORM_DIRECT_ROWS : normRowsPerGroup(lanes)));
  return { rows, length, aligned: length % 4 === 0, lanes, direct, groups };
}

const fusedNorm: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormAttrs;
  const inputs = unpackInputs<NormInputs<TensorInfo>>(attrs.present, call.inputs);
  const { x, residual, gamma, beta } = inputs;
  if (sizeOf(x.shape) === 0) return portableFusedNorm(call);
  const backend = webgpuBackend(call.backend);
  const { rows, length, aligned, lanes, direct, groups } = rowsOf(backend, x.shape);
  const makeProgram = direct ? normForwardDirectProgram : normForwardProgram;
  const program = makeProgram({
    kind: attrs.kind,
    aligned,
    lanes,
    x: attrs.xDtype,
    residual: residual ? attrs.residualDtype : null,
    gamma: gamma ? attrs.gammaDtype : null,
    beta: beta ? attrs.betaDtype : null,
    output: attrs.outputDtype,
  });
  const outputs = [
    makeFloatOutput(backend, x.shape, attrs.outputDtype),
    makeOutput(backend, [rows, 2]),
    ...(residual ? [makeOutput(backend, x.shape)] : []),
  ];
  const read = [x, residual, gamma, beta].filter((input) => input !== undefined);
  const uniforms = { rows, length, epsilon: attrs.epsilon, weight_offset: attrs.weightOffset };
  dispatch(backend, program, [...read, ...outputs], uniforms, groups);
  return outputs;
};

const fusedNormGrad: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormGradAttrs;
  const inputs = unpackInputs<NormGradInputs<TensorInfo>>(attrs.present, call.inputs);
  const { dy, x, stats, gamma, dsum } = inputs;
  if (sizeOf(x.shape) === 0) return portableFusedNormGrad(call);
  const backend = webgpuBackend(call.backend);
  const layout = rowsOf(backend, x.shape);
  const { rows, length, aligned, lanes, direct, groups } = layout;
  const dx = makeOutput(backend, x.shape);
  const correction = makeOutput(backend, [rows]);
  const makeProgram = direct ? normDxDirectProgram : normDxProgram;
  const program = makeProgram({
    kind: attrs.kind,
    aligned,
    lanes,
    x: attrs.xDtype,
    gamma: gamma ? attrs.gammaDtype : null,
    dsum: dsum !== undefined,
  });
  const read = [dy, x, gamma, dsum, stats].filter((input) => input !== undefined);
  const uniforms = { rows, length, weight_offset: attrs.weightOffset };
  dispatch(backend, program, [...read, dx, correction], uniforms, groups);
  const weights = weightGradients(backend, attrs, inputs, correction, layout);
  backend.disposeData(correction.dataId);
  return [dx, ...weights];
};

/** [dgamma if gamma, dbeta if beta]: partial sums by row block, then their sum. */
function weightGradients(
  backend: WebGPUBackend,
  attrs: NormGradAttrs,
  { dy, x, stats, gamma }: NormGradInputs<TensorInfo>,
  correction: TensorInfo,
  { rows, length, aligned }: Rows,
): TensorInfo[] {
  const variant = { aligned, gamma: gamma !== undefined, beta: attrs.hasBeta };
  const outputs: TensorInfo[] = [];
  if (variant.gamma) outputs.push(makeOutput(backend, [length]));
  if (variant.beta) outputs.push(makeOutput(backend, [length]));
  if (outputs.length === 0) return outputs;
  const blockRows = normBlockRows(rows);
  const blocks = Math.ceil(rows / blockRows);
  const quads = quadsOf(length);
  const partials = makeOutput(backend, [blocks * quads * 8]);
  const xhatInputs = variant.gamma ? [x, stats, correction] : [];
  dispatch(
    backend,
    normPartialProgram({ ...variant, x: attrs.xDtype }),
    [dy, ...xhatInputs, partials],
    { rows, length, block_rows: blockRows, blocks },
    Math.ceil((blocks * quads) / COLUMN_WORKGROUP),
  );
  dispatch(
    backend,
    normColumnSumProgram(variant),
    [partials, ...outputs],
    { length, blocks },
    Math.ceil(quads / COLUMN_WORKGROUP),
  );
  backend.disposeData(partials.dataId);
  return outputs;
}

export function registerWebGPUFusedNorm(): void {
  const backendName = 'webgpu';
  registerKernel({ kernelName: FusedNorm, backendName, kernelFunc: fusedNorm });
  registerKernel({ kernelName: FusedNormGrad, backendName, kernelFunc: fusedNormGrad });
}
