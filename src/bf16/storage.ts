// SPDX-License-Identifier: Apache-2.0
/**
 * How a backend stores bfloat16.
 *
 * tfjs wants every gradient in float32 and of exactly its input's shape, so a packed int32 tensor
 * cannot be differentiated. A *handle* can: a tensor that says float32 and the logical shape, on a
 * data id whose data is packed int32. Only BFloat16Tensor holds handles, and only kernels that know
 * them get them; all other code sees int32 words (`packed`) or float32 values (`toFloat32`).
 *
 * Where a backend cannot hold arbitrary 32-bit patterns (webgl's textures) or copies tensors by
 * their stated shape (wasm's Identity), the handle's data is what it says: float32 values, rounded.
 */
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { BFloat16ReshapeAttrs } from '../kernel_names.js';
import { packedShape } from '../spec/dtype.js';

/** The part of every tfjs backend that shares data between tensors. */
export interface RefCounting {
  incRef(dataId: object): void;
}

/** A second TensorInfo of another shape and dtype on the data of `x`, counted as an owner of its own. */
export function relabel(
  backend: unknown,
  x: TensorInfo,
  shape: number[],
  dtype: 'float32' | 'int32',
): TensorInfo {
  (backend as RefCounting).incRef(x.dataId);
  return { dataId: x.dataId, shape, dtype };
}

/** For backends that store packed words: the same data under another logical shape. */
export const reshapeHandle: KernelFunc = ({ inputs, attrs, backend }) => {
  const { shape } = attrs as unknown as BFloat16ReshapeAttrs;
  return relabel(backend, inputs.x!, shape, 'float32');
};

/** For backends that store packed words: the words themselves, as int32, on the same data. */
export const wordsOfHandle: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  return relabel(backend, x, packedShape(x.shape), 'int32');
};
