// SPDX-License-Identifier: Apache-2.0
/**
 * The bfloat16 storage kernels in TensorFlow's own ops, for the `tensorflow` backend of tfjs-node.
 *
 * Same integer arithmetic as bf16/rounding.ts on whole tensors: Bitcast gives the bits, and shifts
 * are arithmetic, so the low half is masked after shifting right.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { relabel, wordsOfHandle } from '../bf16/storage.js';
import { BFloat16Bits, BFloat16Pack, BFloat16Reshape, BFloat16Unpack } from '../kernel_names.js';
import type { BFloat16ReshapeAttrs } from '../kernel_names.js';
import { packedLength, packedShape } from '../spec/dtype.js';
import { sizeOf } from '../spec/shape.js';

/** What these kernels use of tfjs-node's backend. */
interface TensorFlowBackend {
  binding: { TF_ATTR_TYPE: number; TF_FLOAT: number; TF_INT32: number };
  executeSingleOutput(name: string, attrs: OpAttr[], inputs: TensorInfo[]): Tensor;
}
interface OpAttr {
  name: string;
  type: number;
  value: number;
}

class IntegerOps {
  constructor(private readonly backend: TensorFlowBackend) {}

  bitcast(x: TensorInfo, to: 'float32' | 'int32'): Tensor {
    const { TF_ATTR_TYPE: type, TF_FLOAT, TF_INT32 } = this.backend.binding;
    const [from, result] = to === 'int32' ? [TF_FLOAT, TF_INT32] : [TF_INT32, TF_FLOAT];
    const attrs = [
      { name: 'T', type, value: from },
      { name: 'type', type, value: result },
    ];
    return this.backend.executeSingleOutput('Bitcast', attrs, [x]);
  }
  and = (x: Tensor, mask: number) => this.binary('BitwiseAnd', x, tf.scalar(mask, 'int32'));
  or = (x: Tensor, y: Tensor) => this.binary('BitwiseOr', x, y);
  shiftLeft = (x: Tensor, by: number) => this.binary('LeftShift', x, tf.scalar(by, 'int32'));
  shiftRight = (x: Tensor, by: number) => this.binary('RightShift', x, tf.scalar(by, 'int32'));

  private binary(name: string, x: Tensor, y: Tensor): Tensor {
    const { TF_ATTR_TYPE, TF_INT32 } = this.backend.binding;
    const attrs = [{ name: 'T', type: TF_ATTR_TYPE, value: TF_INT32 }];
    return this.backend.executeSingleOutput(name, attrs, [x, y]);
  }
}

const HIGH_HALF = -65536; // 0xffff0000 as an int32

function rowsByLastAxis(shape: number[]): [number, number] {
  const columns = shape.length === 0 ? 1 : shape[shape.length - 1]!;
  return [columns === 0 ? 0 : sizeOf(shape) / columns, columns];
}

/** Bits whose high half is the bfloat16; NaN becomes quiet. */
function roundedBits(ops: IntegerOps, bits: Tensor): Tensor {
  const isNaN = tf.greater(ops.and(bits, 0x7fffffff), tf.scalar(0x7f800000, 'int32'));
  const quiet = ops.or(bits, tf.scalar(0x00400000, 'int32'));
  const lastKept = ops.and(ops.shiftRight(bits, 16), 1);
  const rounded = tf.add(tf.add(bits, tf.scalar(0x7fff, 'int32')), lastKept);
  return tf.where(isNaN, quiet, rounded);
}

const pack: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x as Tensor;
  const ops = new IntegerOps(backend as unknown as TensorFlowBackend);
  const packed = tf.tidy(() => {
    const [rows, columns] = rowsByLastAxis(x.shape);
    const words = packedLength(columns);
    const padded = tf.pad(tf.reshape(x, [rows, columns]), [
      [0, 0],
      [0, 2 * words - columns],
    ]);
    const bits = tf.reshape(roundedBits(ops, ops.bitcast(padded, 'int32')), [rows * words, 2]);
    const [low, high] = tf.split(bits, 2, 1);
    return tf.reshape(
      ops.or(ops.and(ops.shiftRight(low!, 16), 0xffff), ops.and(high!, HIGH_HALF)),
      packedShape(x.shape),
    );
  });
  const handle = relabel(backend, packed, x.shape, 'float32');
  packed.dispose();
  return handle;
};

const unpack: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x!;
  const ops = new IntegerOps(backend as unknown as TensorFlowBackend);
  return tf.tidy(() => {
    const [rows, columns] = rowsByLastAxis(x.shape);
    const words = packedLength(columns);
    const shared = relabel(backend, x, packedShape(x.shape), 'int32');
    const column = tf.reshape(tf.engine().makeTensorFromTensorInfo(shared), [rows * words, 1]);
    const halves = tf.concat([ops.shiftLeft(column, 16), ops.and(column, HIGH_HALF)], 1);
    const padded = tf.reshape(ops.bitcast(halves, 'float32'), [rows, 2 * words]);
    return tf.reshape(tf.slice(padded, [0, 0], [rows, columns]), x.shape);
  });
};

/**
 * TensorFlow knows the words by the shape that they were made with, so another shape is another
 * tensor of its own; it shares their memory.
 */
const reshapeWords: KernelFunc = ({ inputs, attrs, backend }) => {
  const x = inputs.x!;
  const { shape } = attrs as unknown as BFloat16ReshapeAttrs;
  const words = tf.tidy(() => {
    const shared = relabel(backend, x, packedShape(x.shape), 'int32');
    return tf.reshape(tf.engine().makeTensorFromTensorInfo(shared), packedShape(shape));
  });
  const handle = relabel(backend, words, shape, 'float32');
  words.dispose();
  return handle;
};

export function registerTensorFlowBFloat16(): void {
  const backendName = 'tensorflow';
  tf.registerKernel({ kernelName: BFloat16Pack, backendName, kernelFunc: pack });
  tf.registerKernel({ kernelName: BFloat16Unpack, backendName, kernelFunc: unpack });
  tf.registerKernel({ kernelName: BFloat16Bits, backendName, kernelFunc: wordsOfHandle });
  tf.registerKernel({ kernelName: BFloat16Reshape, backendName, kernelFunc: reshapeWords });
}
