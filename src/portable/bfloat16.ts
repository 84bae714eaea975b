// SPDX-License-Identifier: Apache-2.0
/**
 * The bfloat16 storage kernels for backends without kernels of their own.
 *
 * cpu packs in typed arrays. wasm and webgl keep float32 values, rounded (see bf16/storage.ts); they
 * have no integer shifts and no rounding that is exact for every bit pattern, so values are read and
 * rounded in JavaScript. The tensorflow backend has a file of its own.
 */
import { registerKernel } from '@tensorflow/tfjs-core';
import type { KernelFunc, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import {
  packBits,
  roundToBFloat16Values,
  roundValues,
  unpackBits,
  widenBits,
} from '../bf16/rounding.js';
import { relabel, reshapeHandle, wordsOfHandle } from '../bf16/storage.js';
import { BFloat16Bits, BFloat16Pack, BFloat16Reshape, BFloat16Unpack } from '../kernel_names.js';
import { packedShape } from '../spec/dtype.js';

/** What these kernels use of the cpu, wasm and webgl backends. */
interface ValueBackend {
  readSync(dataId: object): TypedArray;
  write(values: TypedArray, shape: number[], dtype: string): object;
}

function lastAxis(shape: number[]): number {
  return shape.length === 0 ? 1 : shape[shape.length - 1]!;
}

function readFloats(backend: unknown, x: TensorInfo): Float32Array {
  const values = (backend as ValueBackend).readSync(x.dataId);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

function makeTensor(
  backend: unknown,
  values: Float32Array | Int32Array,
  shape: number[],
  dtype: 'float32' | 'int32',
): TensorInfo {
  const dataId = (backend as ValueBackend).write(values, shape, dtype);
  return { dataId, shape, dtype };
}

const packOnCpu: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  const packed = packBits(roundValues(readFloats(backend, x)), lastAxis(x.shape));
  const { dataId } = makeTensor(backend, packed, packedShape(x.shape), 'int32');
  return { dataId, shape: x.shape, dtype: 'float32' };
};

const unpackOnCpu: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  const packed = (backend as ValueBackend).readSync(x.dataId) as Int32Array;
  const values = widenBits(unpackBits(packed, lastAxis(x.shape)));
  return makeTensor(backend, values, x.shape, 'float32');
};

const roundInPlaceOfPacking: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  return makeTensor(backend, roundToBFloat16Values(readFloats(backend, x)), x.shape, 'float32');
};

const shareValues: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  return relabel(backend, x, x.shape, 'float32');
};

const packOnReading: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  const packed = packBits(roundValues(readFloats(backend, x)), lastAxis(x.shape));
  return makeTensor(backend, packed, packedShape(x.shape), 'int32');
};

export function registerPortableBFloat16(): void {
  const kernels: [string, string, KernelFunc][] = [
    ['cpu', BFloat16Pack, packOnCpu],
    ['cpu', BFloat16Unpack, unpackOnCpu],
    ['cpu', BFloat16Bits, wordsOfHandle],
    ['cpu', BFloat16Reshape, reshapeHandle],
  ];
  for (const rounded of ['wasm', 'webgl']) {
    kernels.push(
      [rounded, BFloat16Pack, roundInPlaceOfPacking],
      [rounded, BFloat16Unpack, shareValues],
      [rounded, BFloat16Bits, packOnReading],
      [rounded, BFloat16Reshape, reshapeHandle],
    );
  }
  for (const [backendName, kernelName, kernelFunc] of kernels) {
    registerKernel({ kernelName, backendName, kernelFunc });
  }
}
