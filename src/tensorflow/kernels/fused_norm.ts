// SPDX-License-Identifier: Apache-2.0
/** Host side of FusedNorm and FusedNormGrad in the native library. */
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { unpackInputs } from '../../kernel_names.js';
import type { NormAttrs, NormGradAttrs, NormGradInputs, NormInputs } from '../../kernel_names.js';
import { sizeOf } from '../../spec/shape.js';
import { OpAttributes, execute, tensorFlowBackend } from '../backend.js';

export const nativeNorm: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormAttrs;
  const { x, residual, gamma, beta } = unpackInputs<NormInputs<TensorInfo>>(
    attrs.present,
    call.inputs,
  );
  const backend = tensorFlowBackend(call.backend);
  const attributes = new OpAttributes(backend.binding)
    .storage('Tx', attrs.xDtype)
    .storage('Tresidual', attrs.residualDtype)
    .storage('Tgamma', attrs.gammaDtype)
    .storage('Tbeta', attrs.betaDtype)
    .storage('Toutput', attrs.outputDtype)
    .count('Nresidual', residual)
    .count('Ngamma', gamma)
    .count('Nbeta', beta)
    .int('columns', x.shape[x.shape.length - 1]!)
    .bool('rms', attrs.kind === 'rms')
    .float('epsilon', attrs.epsilon)
    .float('weight_offset', attrs.weightOffset);
  const shapes = [x.shape, [sizeOf(x.shape.slice(0, -1)), 2]];
  if (residual) shapes.push(x.shape);
  return execute(
    backend,
    { op: 'TfxfFusedNormV1', attributes, inputs: [x, residual, gamma, beta] },
    shapes,
  );
};

export const nativeNormGrad: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as NormGradAttrs;
  const { dy, x, stats, gamma, dsum } = unpackInputs<NormGradInputs<TensorInfo>>(
    attrs.present,
    call.inputs,
  );
  const backend = tensorFlowBackend(call.backend);
  const columns = x.shape[x.shape.length - 1]!;
  const attributes = new OpAttributes(backend.binding)
    .storage('Tx', attrs.xDtype)
    .storage('Tgamma', attrs.gammaDtype)
    .count('Ngamma', gamma)
    .count('Ndsum', dsum)
    .int('Nbeta', attrs.hasBeta ? 1 : 0)
    .int('columns', columns)
    .bool('rms', attrs.kind === 'rms')
    .float('weight_offset', attrs.weightOffset);
  const shapes = [x.shape];
  if (gamma) shapes.push([columns]);
  if (attrs.hasBeta) shapes.push([columns]);
  return execute(
    backend,
    { op: 'TfxfFusedNormGradV1', attributes, inputs: [dy, x, stats, gamma, dsum] },
    shapes,
  );
};
