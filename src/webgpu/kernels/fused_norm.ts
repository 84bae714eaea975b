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
import { normBlockRows, normColumnSumTile, normColumnTile, normSegments } from '../norm_tile.js';
import type { ColumnTile, NormTile } from '../norm_tile.js';
import { normColumnSumProgram, normPartialProgram } from '../programs/norm_dgamma.js';
import { normDxPrograms, normForwardPrograms } from '../programs/norm_programs.js';
import { deviceFacts } from '../tuning.js';
import type { DeviceFacts } from '../tuning.js';
import { quadsOf } from '../wgsl/tensor.js';

interface Rows {
  rows: number;
  length: number;
  aligned: boolean;
  facts: DeviceFacts;
  tile: NormTile;
  /** Values of the uniforms of programs of segments. */
  cut: { segments: number; segment_quads: number };
}

function rowsOf(backend: WebGPUBackend, shape: number[]): Rows {
  const length = shape[shape.length - 1]!;
  const rows = sizeOf(shape) / length;
  const { device } = backend;
  const facts = deviceFacts(device);
  const tile = choose(device, normChoice(facts, rows, length));
  const layout = { rows, length, aligned: length % 4 === 0, facts, tile };
  if (tile.by !== 'segments') {
    return { ...layout, cut: { segments: 1, segment_quads: quadsOf(length) } };
  }
  const { segments, quads } = normSegments(tile.lanes, rows, length);
  return { ...layout, cut: { segments, segment_quads: quads } };
}

const fusedNorm: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormAttrs;
  const inputs = unpackInputs<NormInputs<TensorInfo>>(attrs.present, call.inputs);
  const { x, residual, gamma, beta } = inputs;
  if (sizeOf(x.shape) === 0) return portableFusedNorm(call);
  const backend = webgpuBackend(call.backend);
  const { rows, length, aligned, tile, cut } = rowsOf(backend, x.shape);
  const { first, last, owned } = normForwardPrograms({
    kind: attrs.kind,
    aligned,
    tile,
    x: attrs.xDtype,
    residual: residual ? attrs.residualDtype : null,
    gamma: gamma ? attrs.gammaDtype : null,
    beta: beta ? attrs.betaDtype : null,
    output: attrs.outputDtype,
  });
  const groups = Math.ceil(rows / owned) * cut.segments;
  const outputs = [
    makeFloatOutput(backend, x.shape, attrs.outputDtype),
    makeOutput(backend, [rows, 2]),
    ...(residual ? [makeOutput(backend, x.shape)] : []),
  ];
  const read = [x, residual, gamma, beta].filter((input) => input !== undefined);
  const uniforms = {
    ...{ rows, length, epsilon: attrs.epsilon, weight_offset: attrs.weightOffset },
    ...cut,
  };
  const between: TensorInfo[] = [];
  if (first) {
    between.push(makeOutput(backend, [groups, 2]));
    const summed = [x, residual].filter((input) => input !== undefined);
    dispatch(backend, first, [...summed, ...between], uniforms, groups);
  }
  dispatch(backend, last, [...read, ...between, ...outputs], uniforms, groups);
  for (const { dataId } of between) backend.disposeData(dataId);
  return outputs;
};

const fusedNormGrad: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormGradAttrs;
  const inputs = unpackInputs<NormGradInputs<TensorInfo>>(attrs.present, call.inputs);
  const { dy, x, stats, gamma, dsum } = inputs;
  if (sizeOf(x.shape) === 0) return portableFusedNormGrad(call);
  const backend = webgpuBackend(call.backend);
  const layout = rowsOf(backend, x.shape);
  const { rows, length, aligned, tile, cut } = layout;
  const dx = makeOutput(backend, x.shape);
  const correction = makeOutput(backend, [rows]);
  const { first, last, owned } = normDxPrograms({
    kind: attrs.kind,
    aligned,
    tile,
    x: attrs.xDtype,
    gamma: gamma ? attrs.gammaDtype : null,
    dsum: dsum !== undefined,
  });
  const groups = Math.ceil(rows / owned) * cut.segments;
  const read = [dy, x, gamma, dsum, stats].filter((input) => input !== undefined);
  const uniforms = { rows, length, weight_offset: attrs.weightOffset, ...cut };
  const between: TensorInfo[] = [];
  if (first) {
    between.push(makeOutput(backend, [groups, 4]));
    const summed = [dy, x, gamma, stats].filter((input) => input !== undefined);
    dispatch(backend, first, [...summed, ...between], uniforms, groups);
  }
  dispatch(backend, last, [...read, ...between, dx, correction], uniforms, groups);
  for (const { dataId } of between) backend.disposeData(dataId);
  const weights = weightGradients(backend, attrs, inputs, correction, layout);
  backend.disposeData(correction.dataId);
  return [dx, ...weights];
};

/** Workgroups for a row of so many quads of columns. */
function groupsOf({ columns }: ColumnTile, quads: number): number {
  return Math.ceil(quads / columns);
}

/** [dgamma if gamma, dbeta if beta]: partial sums by row block, then their sum. */
function weightGradients(
  backend: WebGPUBackend,
  attrs: NormGradAttrs,
  { dy, x, stats, gamma }: NormGradInputs<TensorInfo>,
  correction: TensorInfo,
  { rows, length, aligned, facts }: Rows,
): TensorInfo[] {
  const variant = { aligned, gamma: gamma !== undefined, beta: attrs.hasBeta };
  const tile = normColumnTile(facts, length);
  const sumTile = normColumnSumTile(facts);
  const outputs: TensorInfo[] = [];
  if (variant.gamma) outputs.push(makeOutput(backend, [length]));
  if (variant.beta) outputs.push(makeOutput(backend, [length]));
  if (outputs.length === 0) return outputs;
  const blockRows = normBlockRows(facts, tile, rows, length);
  const blocks = Math.ceil(rows / blockRows);
  const quads = quadsOf(length);
  const partials = makeOutput(backend, [blocks * quads * 8]);
  const xhatInputs = variant.gamma ? [x, stats, correction] : [];
  dispatch(
    backend,
    normPartialProgram({ ...variant, tile, x: attrs.xDtype }),
    [dy, ...xhatInputs, partials],
    { rows, length, block_rows: blockRows },
    blocks * groupsOf(tile, quads),
  );
  dispatch(
    backend,
    normColumnSumProgram({ ...variant, tile: sumTile }),
    [partials, ...outputs],
    { length, blocks },
    groupsOf(sumTile, quads),
  );
  backend.disposeData(partials.dataId);
  return outputs;
}

export function registerWebGPUFusedNorm(): void {
  const backendName = 'webgpu';
  registerKernel({ kernelName: FusedNorm, backendName, kernelFunc: fusedNorm });
  registerKernel({ kernelName: FusedNormGrad, backendName, kernelFunc: fusedNormGrad });
}
