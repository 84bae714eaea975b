// SPDX-License-Identifier: Apache-2.0
/** Checking an attention call, and bringing its tensors to the layout of kernels and back. */
import { Tensor, reshape } from '@tensorflow/tfjs-core';
import { isAttentionBias } from '../attn_bias/base.js';
import type { AttentionBias } from '../attn_bias/base.js';
import { BFloat16Tensor, isBFloat16 } from '../bf16/bfloat16_tensor.js';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import {
  attentionDims,
  attentionNumbers,
  biasShape,
  checkAttentionDTypes,
} from '../spec/attention.js';
import type { AttentionDims } from '../spec/attention.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { sameShape } from '../spec/shape.js';
import {
  checkFloat32Tensor,
  checkOptions,
  checkOutputDType,
  checkTensor,
  floatDType,
  handleOf,
  isPlainObject,
} from './arguments.js';
import { checkRequireFused } from './fallback.js';

/** What may stand for a mask: nothing, one of `attnBias.*`, or a tensor (float32 added, bool true = visible). */
export type AttnBias = AttentionBias | Tensor | null | undefined;

export interface AttentionOptions<D extends FloatDType | undefined = FloatDType | undefined> {
  /** Factor of the scores; default 1 / sqrt(K). */
  scale?: number | undefined;
  /** Dropout probability of the attention weights, at least 0 and below 1; default 0. */
  p?: number | undefined;
  /** 32-bit seed of the dropout mask; default: drawn for each call. */
  seed?: number | undefined;
  /** Default: the dtype of query, key and value. */
  outputDtype?: D;
  /** Scores become softcap * tanh(score / softcap) before bias and mask; default: off. */
  softcap?: number | undefined;
  /** float32 [H]: a logit for each head in the softmax denominator. */
  sink?: Tensor | undefined;
  /** Throw where no fused kernel takes the call, instead of falling back to tfjs ops. */
  requireFused?: boolean | undefined;
}

const OPTIONS: readonly (keyof AttentionOptions)[] = [
  'scale',
  'p',
  'seed',
  'outputDtype',
  'softcap',
  'sink',
  'requireFused',
];

/** A checked call. Nothing has been computed for it yet. */
export interface AttentionCall {
  op: string;
  operands: AttentionInputs<FloatTensor>;
  dims: AttentionDims;
  /** Shape of the bias in the layout of kernels. */
  biasShape: number[] | null;
  attrs: Omit<AttentionAttrs, 'present' | 'returnsLogSumExp'>;
}

/** Checks all arguments of an attention op; throws before anything is computed. */
export function checkAttentionCall(
  op: string,
  [query, key, value]: readonly unknown[],
  attnBias: unknown,
  options: AttentionOptions,
): AttentionCall {
  checkOptions(op, options, OPTIONS);
  checkTensor(op, 'query', query);
  checkTensor(op, 'key', key);
  checkTensor(op, 'value', value);
  checkAttentionDTypes(op, query.dtype, key.dtype, value.dtype);
  const dims = attentionDims(op, query.shape, key.shape, value.shape);
  const numbers = attentionNumbers(op, options, dims.keyDim);
  checkOutputDType(op, options.outputDtype);
  checkRequireFused(op, options.requireFused);
  if (options.sink !== undefined) checkSink(op, options.sink, dims.heads);
  const { plan, bias } = maskOf(op, attnBias, dims);
  const dtype = floatDType(query);
  return {
    op,
    operands: { query, key, value, bias, sink: options.sink },
    dims,
    biasShape: bias ? biasShape(op, bias.shape, dims, query.shape) : null,
    attrs: {
      plan,
      ...numbers,
      dtype,
      outputDtype: options.outputDtype ?? dtype,
      biasKind: biasKindOf(bias),
    },
  };
}

function biasKindOf(bias: Tensor | undefined): AttentionAttrs['biasKind'] {
  if (!bias) return 'none';
  return bias.dtype === 'bool' ? 'bool' : 'float';
}

function checkSink(op: string, sink: unknown, heads: number): void {
  checkFloat32Tensor(op, 'options.sink', sink);
  if (!sameShape(sink.shape, [heads])) {
    throw rangeError({
      op,
      argument: 'options.sink',
      expected: `of shape [${heads}], one logit for each query head`,
      got: `shape ${describe(sink.shape)}`,
      mend: 'Reshape it with tf.reshape().',
    });
  }
}

function maskOf(
  op: string,
  attnBias: unknown,
  dims: AttentionDims,
): { plan: MaskPlan; bias: Tensor | undefined } {
  if (attnBias === null || attnBias === undefined) return { plan: NO_MASK, bias: undefined };
  if (isAttentionBias(attnBias)) {
    if (attnBias.packsSequences && dims.batch !== 1) {
      throw rangeError({
        op,
        argument: 'query',
        expected: `of batch size 1, because ${attnBias.className} packs sequences`,
        got: `batch size ${dims.batch}`,
        mend: 'Concatenate the sequences along axis 1: BlockDiagonalMask.fromTensorList does.',
      });
    }
    const plan = attnBias.plan(dims.queries, dims.keys, op);
    if (attnBias.bias) checkFloat32Tensor(op, 'attnBias.bias', attnBias.bias);
    return { plan, bias: attnBias.bias };
  }
  if (!(attnBias instanceof Tensor) && !isBFloat16(attnBias)) {
    throw typeError({
      op,
      argument: 'attnBias',
      expected: 'null, an attnBias.* object, or a float32 or bool tensor',
      got: describe(attnBias),
      mend: isPlainObject(attnBias)
        ? 'If these are the options, they come fifth: pass null for attnBias before them.'
        : 'For a causal mask pass new attnBias.LowerTriangularMask().',
    });
  }
  return { plan: NO_MASK, bias: checkBiasTensor(op, attnBias) };
}

function checkBiasTensor(op: string, bias: Tensor | BFloat16Tensor): Tensor {
  checkTensor(op, 'attnBias', bias);
  if (isBFloat16(bias) || (bias.dtype !== 'float32' && bias.dtype !== 'bool')) {
    throw typeError({
      op,
      argument: 'attnBias',
      expected: 'a float32 tensor (added to the scores) or a bool one (true = may attend)',
      got: `dtype ${bias.dtype}`,
      mend: isBFloat16(bias)
        ? 'Convert it with toFloat32().'
        : "Convert it with tf.cast(x, 'bool') or tf.cast(x, 'float32').",
    });
  }
  return bias;
}

function inShape(op: string, name: string, x: FloatTensor, shape: number[]): Tensor {
  if (sameShape(x.shape, shape)) return handleOf(op, name, x);
  return isBFloat16(x) ? x.reshape(shape).handle : reshape(x, shape);
}

/** The tensors in the layout of kernels. Call it in a tf.tidy. */
export function kernelInputs({
  op,
  operands,
  dims,
  biasShape,
}: AttentionCall): AttentionInputs<Tensor> {
  const { batch, queries, keys, heads, kvHeads, keyDim, valueDim } = dims;
  const { bias } = operands;
  return {
    query: inShape(op, 'query', operands.query, [batch, queries, heads, keyDim]),
    key: inShape(op, 'key', operands.key, [batch, keys, kvHeads, keyDim]),
    value: inShape(op, 'value', operands.value, [batch, keys, kvHeads, valueDim]),
    bias: bias && inShape(op, 'attnBias', bias, biasShape!),
    sink: operands.sink && handleOf(op, 'options.sink', operands.sink),
  };
}

/** A kernel's [B, Mq, H, V] as the user sees it: of query's layout and of the output's dtype. */
export function userOutput({ operands, dims, attrs }: AttentionCall, output: Tensor): FloatTensor {
  const shape = [...operands.query.shape.slice(0, -1), dims.valueDim];
  if (attrs.outputDtype === 'bfloat16') {
    const typed = new BFloat16Tensor(output);
    return sameShape(shape, typed.shape) ? typed : typed.reshape(shape);
  }
  return sameShape(shape, output.shape) ? output : reshape(output, shape);
}
