// SPDX-License-Identifier: Apache-2.0
/**
 * AppendRows on the backends without WGSL.
 *
 * cpu and wasm hold a tensor in an array that can be written to: a step copies its own rows and no
 * others. Textures (webgl) and TensorFlow's tensors (tensorflow) cannot be changed once they are made, so
 * there the result is a new tensor of just the rows that there are.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import { relabel } from '../bf16/storage.js';
import { AppendRows, unpackInputs } from '../kernel_names.js';
import type { AppendRowsAttrs, AppendRowsInputs } from '../kernel_names.js';
import { packedShape } from '../spec/dtype.js';
import { sizeOf } from '../spec/shape.js';

/** The array that holds a tensor, itself and no copy. */
type ArrayOf = (backend: unknown, x: TensorInfo) => TypedArray;

interface WritingBackend {
  write(values: TypedArray, shape: number[], dtype: string): object;
}

/** bfloat16 is packed where `packs`; elsewhere a handle's data is its float32 values. */
function appendInPlace(arrayOf: ArrayOf, packs: boolean): KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const { present, dtype, from, used, reserve } = attrs as unknown as AppendRowsAttrs;
    const { rows, target } = unpackInputs<AppendRowsInputs<TensorInfo>>(present, inputs);
    const [batch, added, ...rest] = rows.shape as [number, number, ...number[]];
    const isPacked = packs && dtype === 'bfloat16';
    const width = sizeOf(isPacked ? packedShape(rest) : rest);
    const copyRows = (x: TensorInfo, first: number, count: number, to: TensorInfo, at: number) => {
      const [values, written] = [arrayOf(backend, x), arrayOf(backend, to)];
      const [stride, toStride] = [x.shape[1]! * width, to.shape[1]! * width];
      for (let b = 0; b < batch; b++) {
        const begin = b * stride + first * width;
        written.set(values.subarray(begin, begin + count * width), b * toStride + at * width);
      }
    };
    const fits = target && from === 0 && used + added <= target.shape[1]!;
    const output = fits ? relabel(backend, target, target.shape, 'float32') : make();
    copyRows(rows, 0, added, output, used - from);
    return output;

    function make(): TensorInfo {
      const shape = [batch, reserve, ...rest];
      const size = batch * reserve * width;
      const values = isPacked ? new Int32Array(size) : new Float32Array(size);
      const stored = isPacked ? 'int32' : 'float32';
      const dataShape = isPacked ? packedShape(shape) : shape;
      const dataId = (backend as unknown as WritingBackend).write(values, dataShape, stored);
      const made: TensorInfo = { dataId, shape, dtype: 'float32' };
      if (target && used > from) copyRows(target, from, used - from, made, 0);
      return made;
    }
  };
}

/** Where data cannot be changed: the rows that are kept and the new ones, joined. */
function appendByConcat(packs: boolean): KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const { present, dtype, from, used } = attrs as unknown as AppendRowsAttrs;
    const { rows, target } = unpackInputs<AppendRowsInputs<TensorInfo>>(present, inputs);
    const isPacked = packs && dtype === 'bfloat16';
    const data = (x: TensorInfo): Tensor =>
      isPacked
        ? tf.engine().makeTensorFromTensorInfo(relabel(backend, x, packedShape(x.shape), 'int32'))
        : (x as Tensor);
    const joined = tf.tidy(() => {
      const added = data(rows);
      const zeros = added.shape.map(() => 0);
      if (!target || used === from) return tf.slice(added, zeros, added.shape);
      const kept = data(target);
      const begin = zeros.map((zero, axis) => (axis === 1 ? from : zero));
      const size = kept.shape.map((n, axis) => (axis === 1 ? used - from : n));
      return tf.concat([from === 0 ? kept : tf.slice(kept, begin, size), added], 1);
    });
    const shape = [rows.shape[0]!, joined.shape[1]!, ...rows.shape.slice(2)];
    const output = relabel(backend, joined, shape, 'float32');
    joined.dispose();
    return output;
  };
}

interface CpuBackend {
  data: { get(dataId: object): { values: TypedArray } };
}
interface WasmBackend {
  typedArrayFromHeap(x: TensorInfo): TypedArray;
}

export function registerPortableAppendRows(): void {
  const onCpu: ArrayOf = (backend, x) => (backend as CpuBackend).data.get(x.dataId).values;
  const onWasm: ArrayOf = (backend, x) => (backend as WasmBackend).typedArrayFromHeap(x);
  const kernels: [string, KernelFunc][] = [
    ['cpu', appendInPlace(onCpu, true)],
    ['wasm', appendInPlace(onWasm, false)],
    ['webgl', appendByConcat(false)],
    ['tensorflow', appendByConcat(true)],
  ];
  for (const [backendName, kernelFunc] of kernels) {
    tf.registerKernel({ kernelName: AppendRows, backendName, kernelFunc });
  }
}
