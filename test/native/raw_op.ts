// SPDX-License-Identifier: Apache-2.0
/** The ops of the native library called by hand, with whatever attributes and inputs. */
import * as tf from '@tensorflow/tfjs-core';
import { sizeOf } from '../../src/spec/shape.js';
import type { TensorFlowBackend } from '../../src/tensorflow/backend.js';
import { draw } from '../support/draw.js';

/** The array's type gives the tensor's: float32, int32 or bool. */
export interface RawTensor {
  shape: number[];
  values: Float32Array | Int32Array | Uint8Array;
}

/** A type is the name of its constant, such as TF_FLOAT. */
export type RawAttribute = { int: number } | { float: number } | { bool: boolean } | { type: Type };
type Type = 'TF_FLOAT' | 'TF_INT32' | 'TF_BOOL';

export interface RawCall {
  op: string;
  attributes: Record<string, RawAttribute>;
  /** In the op's order. */
  inputs: Record<string, RawTensor>;
  outputs: number;
}

export const floats = (...shape: number[]): RawTensor => ({
  shape,
  values: draw(sizeOf(shape) + shape.length, sizeOf(shape)),
});
export const words = (...shape: number[]): RawTensor => ({
  shape,
  values: new Int32Array(sizeOf(shape)).fill(0x3f803f80),
});
export const bools = (...shape: number[]): RawTensor => ({
  shape,
  values: new Uint8Array(sizeOf(shape)).fill(1),
});
export const vector = (...values: number[]): RawTensor => ({
  shape: [values.length],
  values: Int32Array.from(values),
});

function numberOf(binding: TensorFlowBackend['binding'], attribute: RawAttribute) {
  const { TF_ATTR_INT, TF_ATTR_FLOAT, TF_ATTR_BOOL, TF_ATTR_TYPE } = binding;
  if ('int' in attribute) return { type: TF_ATTR_INT, value: attribute.int };
  if ('float' in attribute) return { type: TF_ATTR_FLOAT, value: attribute.float };
  if ('bool' in attribute) return { type: TF_ATTR_BOOL, value: attribute.bool };
  return { type: TF_ATTR_TYPE, value: binding[attribute.type] };
}

/** tfjs-node's binding as far as results are read from it. */
type ReadingBinding = TensorFlowBackend['binding'] & {
  createTensor(shape: number[], dtype: number, values: RawTensor['values']): number;
  tensorDataSync(id: number): Float32Array;
};

/** Runs the op, frees every tensor, and returns the values of its outputs; throws what TensorFlow says. */
export function runRaw({ op, attributes, inputs, outputs }: RawCall): Float32Array[] {
  const binding = (tf.backend() as unknown as TensorFlowBackend).binding as ReadingBinding;
  const dtypeOf = ({ values }: RawTensor): number => {
    if (values instanceof Float32Array) return binding.TF_FLOAT;
    return values instanceof Int32Array ? binding.TF_INT32 : binding.TF_BOOL;
  };
  const ids: number[] = [];
  try {
    for (const input of Object.values(inputs)) {
      ids.push(binding.createTensor(input.shape, dtypeOf(input), input.values));
    }
    const list = Object.entries(attributes).map(([name, each]) => ({
      name,
      ...numberOf(binding, each),
    }));
    const results = binding.executeOp(op, list, ids.slice(), outputs);
    const values = results.map(({ id }) => binding.tensorDataSync(id));
    for (const { id } of results) binding.deleteTensor(id);
    return values;
  } finally {
    for (const id of ids) binding.deleteTensor(id);
  }
}
