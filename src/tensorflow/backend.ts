// SPDX-License-Identifier: Apache-2.0
/**
 * Running an op of the native library on tfjs-node's backend.
 *
 * The backend's own executeMultipleOutputs makes a Tensor of each output, of the shape and dtype that
 * TensorFlow states. Here outputs are TensorInfos, which the engine turns into Tensors itself, with
 * the labels that our kernels give them: float32 and the logical shape, packed or not. Tensors that
 * live for one call only (the parameters) never reach the backend's map; they are freed here.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FloatDType } from '../spec/dtype.js';

/** What TensorFlow says of an output. */
interface OutputMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

/** What this package uses of tfjs-node's addon. */
export interface Binding {
  TF_FLOAT: number;
  TF_INT32: number;
  TF_BOOL: number;
  TF_ATTR_INT: number;
  TF_ATTR_FLOAT: number;
  TF_ATTR_BOOL: number;
  TF_ATTR_TYPE: number;
  createTensor(shape: number[], dtype: number, values: Int32Array): number;
  deleteTensor(id: number): void;
  executeOp(
    name: string,
    attributes: OpAttribute[],
    inputs: number[],
    outputs: number,
  ): OutputMetadata[];
}

/** What this package uses of tfjs-node's backend. */
export interface TensorFlowBackend {
  binding: Binding;
  tensorMap: { set(dataId: object, data: object): void };
  getInputTensorIds(tensors: TensorInfo[]): number[];
}

interface OpAttribute {
  name: string;
  type: number;
  value: number | boolean;
}

/**
 * The attributes of an op. tfjs-node infers none; each costs nearly a microsecond of a call, which may take 20 in all, so that
 * those are left out which have the value that native/ops declares as their default: float32 as a type, 0 as a count.
 */
export class OpAttributes {
  readonly list: OpAttribute[] = [];

  constructor(private readonly binding: Binding) {}

  int(name: string, value: number): this {
    return this.add(name, this.binding.TF_ATTR_INT, value);
  }
  float(name: string, value: number): this {
    return this.add(name, this.binding.TF_ATTR_FLOAT, value);
  }
  bool(name: string, value: boolean): this {
    return this.add(name, this.binding.TF_ATTR_BOOL, value);
  }
  /** The type in which a float tensor is stored: bfloat16 values lie in pairs in int32 words. */
  storage(name: string, dtype: FloatDType): this {
    return this.type(name, dtype === 'bfloat16' ? this.binding.TF_INT32 : this.binding.TF_FLOAT);
  }
  type(name: string, value: number): this {
    const { TF_ATTR_TYPE, TF_FLOAT } = this.binding;
    return value === TF_FLOAT ? this : this.add(name, TF_ATTR_TYPE, value);
  }
  /** How many tensors an optional input has: one or none. */
  count(name: string, input: TensorInfo | undefined): this {
    return input ? this.int(name, 1) : this;
  }

  private add(name: string, type: number, value: number | boolean): this {
    this.list.push({ name, type, value });
    return this;
  }
}

/** The backend of a kernel call; throws if it is not tfjs-node's as this package knows it. */
export function tensorFlowBackend(backend: unknown): TensorFlowBackend {
  const { binding, tensorMap, getInputTensorIds } = backend as Partial<TensorFlowBackend>;
  if (!binding?.executeOp || !tensorMap || !getInputTensorIds) {
    throw new Error(
      "tfjs-xformers: the backend 'tensorflow' is not the one of @tensorflow/tfjs-node 4.22, " +
        "which the native kernels need. Import 'tfjs-xformers' instead of 'tfjs-xformers/node'.",
    );
  }
  return backend as TensorFlowBackend;
}

export interface OpCall {
  op: string;
  attributes: OpAttributes;
  /** In the op's order; absent ones are undefined. */
  inputs: (TensorInfo | undefined)[];
  /** The op's last input: int32, on the host. */
  params?: Int32Array;
}

/** Runs an op and returns its outputs, labelled float32 and with the logical shapes given. */
export function execute(
  backend: TensorFlowBackend,
  { op, attributes, inputs, params }: OpCall,
  shapes: number[][],
): TensorInfo[] {
  const { binding, tensorMap } = backend;
  const ids = backend.getInputTensorIds(inputs.filter((input) => input !== undefined));
  const paramsId = params && binding.createTensor([params.length], binding.TF_INT32, params);
  if (paramsId !== undefined) ids.push(paramsId);
  let outputs: OutputMetadata[];
  try {
    outputs = binding.executeOp(op, attributes.list, ids, shapes.length);
  } catch (error) {
    throw opError(op, error);
  } finally {
    if (paramsId !== undefined) binding.deleteTensor(paramsId);
  }
  return outputs.map(({ id, shape, dtype }, index) => {
    const dataId = {};
    tensorMap.set(dataId, { shape, dtype, id, values: null, refCount: 1 });
    return { dataId, shape: shapes[index]!, dtype: 'float32' };
  });
}

/** TensorFlow's codes that can be said in better words. */
const CODES = new Map([
  ['3', 'refused the call'],
  ['8', 'ran out of memory'],
]);

/** The words of TensorFlow's status, without those of the layers in between. */
function opError(op: string, error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const [, code, message] = /^Invalid TF_Status: (\d+)\s+Message: ([\s\S]*)$/.exec(text) ?? [];
  const words = (message ?? text)
    .replace(/^\{\{function_node [^}]*\}\}\s*/, '')
    .replace(/\s*\[Op:\w+\].*$/s, '');
  const what = CODES.get(code ?? '') ?? 'failed';
  return new Error(`tfjs-xformers: the native kernel ${op} ${what}: ${words}`, { cause: error });
}
