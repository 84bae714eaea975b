// SPDX-License-Identifier: Apache-2.0
/** An attention call's tensors, from the user's shapes to those of kernels and back; nothing is copied. */
import { customGrad, reshape } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Tensor, isBFloat16 } from '../bf16/bfloat16_tensor.js';
import type { AttentionInputs } from '../kernel_names.js';
import type { FloatTensor } from '../spec/dtype.js';
import { sameShape } from '../spec/shape.js';
import { handleOf } from './arguments.js';
import type { AttentionCall } from './attention_call.js';

/**
 * tf.reshape, whose gradient wants no more of `x` than its shape: tfjs' own keeps x itself until the
 * backward pass, and so what only a rounded copy is kept of (options.saveDtype).
 */
function inOtherShape(x: Tensor, shape: number[]): Tensor {
  const from = x.shape;
  return customGrad((given) => ({
    value: reshape(given as Tensor, shape),
    gradFunc: (dy: Tensor) => reshape(dy, from),
  }))(x);
}

function inShape(op: string, name: string, x: FloatTensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return handleOf(op, name, x);
  return isBFloat16(x) ? x.reshape([...shape]).handle : inOtherShape(x, [...shape]);
}

/** The tensors as the kernels take them; packed, query is the only operand. Call it in a tf.tidy. */
export function kernelInputs({
  op,
  operands,
  shapes,
  biasShape,
}: AttentionCall): Omit<AttentionInputs<Tensor>, 'key' | 'value'> {
  const { query, key, value, bias, sink } = operands;
  return {
    query: inShape(op, key ? 'query' : 'qkv', query, shapes.query),
    ...(key && { key: inShape(op, 'key', key, shapes.key) }),
    ...(value && { value: inShape(op, 'value', value, shapes.value) }),
    bias: bias && inShape(op, 'attnBias', bias, biasShape!),
    sink: sink && handleOf(op, 'options.sink', sink),
  };
}

/** A kernel's output as the user sees it: of the operands' form and of the output's dtype. */
export function userOutput({ userShape, attrs }: AttentionCall, output: Tensor): FloatTensor {
  if (attrs.outputDtype === 'bfloat16') {
    const typed = new BFloat16Tensor(output);
    return sameShape(userShape, typed.shape) ? typed : typed.reshape(userShape);
  }
  return sameShape(userShape, output.shape) ? output : inOtherShape(output, userShape);
}
