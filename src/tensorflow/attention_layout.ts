// SPDX-License-Identifier: Apache-2.0
/**
 * The native attention ops know one layout, [B, M, H, K]. Operands of others are sliced or transposed before
 * the op by TensorFlow, which copies them, and so are its results after it. bfloat16 tensors are moved as the
 * int32 words that they are stored in.
 */
import { concat, engine, slice, tidy, transpose } from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { relabel } from '../bf16/storage.js';
import {
  ATTENTION_GRAD_INPUTS,
  asNamedTensors,
  packInputs,
  unpackAttentionInputs,
} from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import { dimsOfOperands } from '../spec/attention_layout.js';
import type { FloatDType } from '../spec/dtype.js';
import { packedShape } from '../spec/dtype.js';

type KernelCall = Parameters<KernelFunc>[0];
type Inputs = AttentionGradInputs<TensorInfo>;

/** A kernel's result is one, or an array. */
type Results = ReturnType<KernelFunc>;

/** What is done with a float tensor or with the words of a bfloat16 one; the last axis stays as it is. */
type Move = (x: Tensor) => Tensor;

const swap: Move = (x) => transpose(x, [0, 2, 1, 3]);

function asTensor(info: TensorInfo): Tensor {
  return engine().makeTensorFromTensorInfo(info);
}

/** `x`, which may be a handle, after a move. */
function moved(backend: unknown, x: TensorInfo, dtype: FloatDType, move: Move): Tensor {
  const depth = x.shape[3]!;
  if (dtype === 'float32') return move(asTensor(relabel(backend, x, x.shape, 'float32')));
  const words = move(asTensor(relabel(backend, x, packedShape(x.shape), 'int32')));
  return asTensor(relabel(backend, words, [...words.shape.slice(0, 3), depth], 'float32'));
}

/** The inputs of the same call with query, key and value of their own, [B, M, heads, D]. */
function rowMajorInputs({ backend, inputs: list, attrs }: KernelCall): Inputs {
  const attention = attrs as unknown as AttentionAttrs;
  const { dtype, outputDtype } = attention;
  const inputs = unpackAttentionInputs<Inputs>(attention, list);
  const operand = (x: TensorInfo, move: Move) => moved(backend, x, dtype, move);
  if (attention.layout === 'packed') {
    const { query } = inputs;
    const shapes = { query: query.shape, key: query.shape, value: query.shape };
    const { heads, kvHeads } = dimsOfOperands(attention, shapes);
    const part = (first: number, count: number) =>
      operand(query, (x) => slice(x, [0, 0, first, 0], [-1, -1, count, -1]));
    return {
      ...inputs,
      query: part(0, heads),
      key: part(heads, kvHeads),
      value: part(heads + kvHeads, kvHeads),
    };
  }
  const { query, key, value, doutput, output } = inputs;
  return {
    ...inputs,
    ...{ query: operand(query, swap), key: operand(key, swap), value: operand(value, swap) },
    ...(doutput && { doutput: moved(backend, doutput, 'float32', swap) }),
    ...(output && { output: moved(backend, output, outputDtype, swap) }),
  };
}

/** Runs `native` on the call as one of the layout that it knows. */
function runRowMajor(native: KernelFunc, call: KernelCall): Tensor[] {
  const { present, list } = packInputs<Tensor>(ATTENTION_GRAD_INPUTS, rowMajorInputs(call));
  const attrs = { ...call.attrs, present, layout: 'BMHK' };
  const results = native({ ...call, inputs: asNamedTensors(list), attrs });
  return (Array.isArray(results) ? results : [results]).map(asTensor);
}

/** `native`, a kernel whose results are to be in the layout of the call, by `finish`. */
function inEveryLayout(
  native: KernelFunc,
  finish: (results: Tensor[], attrs: AttentionAttrs, backend: unknown) => Tensor[],
): KernelFunc {
  return (call): Results => {
    const attrs = call.attrs as unknown as AttentionAttrs;
    if (attrs.layout === 'BMHK') return native(call);
    return tidy(() => finish(runRowMajor(native, call), attrs, call.backend));
  };
}

/** A kernel that returns output and logSumExp. */
export function forwardInEveryLayout(native: KernelFunc): KernelFunc {
  return inEveryLayout(native, ([output, logSumExp], { layout, outputDtype }, backend) => [
    layout === 'BHMK' ? moved(backend, output!, outputDtype, swap) : output!,
    logSumExp!,
  ]);
}

/** A kernel that returns the gradients of query, key and value. */
export function gradientInEveryLayout(native: KernelFunc): KernelFunc {
  return inEveryLayout(native, (gradients, { layout }) =>
    layout === 'packed' ? [concat(gradients, 2)] : gradients.map(swap),
  );
}

/** A kernel whose result has the same shape in all layouts. */
export function otherInEveryLayout(native: KernelFunc): KernelFunc {
  return inEveryLayout(native, (results) => results);
}
