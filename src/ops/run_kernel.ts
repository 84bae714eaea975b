// SPDX-License-Identifier: Apache-2.0
import { engine } from '@tensorflow/tfjs-core';
import type { NamedAttrMap, NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';
import { asNamedTensors, packInputs } from '../kernel_names.js';

/** Runs a kernel of this package with named inputs, all of them there. */
export function runKernel(name: string, inputs: NamedTensorMap, attrs: object = {}): Tensor {
  return engine().runKernel(name, inputs, attrs as NamedAttrMap) as Tensor;
}

/**
 * Runs a kernel whose inputs may be absent: they go in as an array in the order of `names`, and the
 * attribute `present` says which ones there are.
 */
export function runOptionalInputKernel(
  name: string,
  names: readonly string[],
  inputs: object,
  attrs: object,
): Tensor[] {
  const { present, list } = packInputs<Tensor>(names, inputs);
  const outputs = engine().runKernel(name, asNamedTensors(list), {
    ...attrs,
    present,
  } as NamedAttrMap);
  return Array.isArray(outputs) ? outputs : [outputs];
}
