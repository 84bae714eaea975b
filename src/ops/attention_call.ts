// SPDX-License-Identifier: Apache-2.0
/** Checking an attention call. */
import { Tensor } from '@tensorflow/tfjs-core';
import { isAttentionBias } from '../attn_bias/base.js';
import type { AttentionBias } from '../attn_bias/base.js';
import { isBFloat16 } from '../bf16/bfloat16_tensor.js';
import type { BFloat16Tensor } from '../bf16/bfloat16_tensor.js';
import type { AttentionAttrs } from '../kernel_names.js';
import {
  attentionDims,
  attentionNumbers,
  biasShape,
  checkAttentionDTypes,
  headMajorDims,
} from '../spec/attention.js';
import type { AttentionDims } from '../spec/attention.js';
import { operandShapes } from '../spec/attention_layout.js';
import type { AttentionLayout, OperandLayout, OperandShapes } from '../spec/attention_layout.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { NO_MASK } from '../spec/mask.js';
import type { MaskPlan } from '../spec/mask.js';
import { packedDims } from '../spec/packed_attention.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import { sameShape } from '../spec/shape.js';
import {
  checkChoice,
  checkFloat32Tensor,
  checkFloatTensor,
  checkOptions,
  checkOutputDType,
  checkTensor,
  floatDType,
  isPlainObject,
} from './arguments.js';
import { checkRequireFused } from './fallback.js';

/** What may stand for a mask: nothing, one of `attnBias.*`, or a tensor (float32 added, bool true = visible). */
export type AttnBias = AttentionBias | Tensor | null | undefined;

export interface PackedAttentionOptions<D extends FloatDType | undefined = FloatDType | undefined> {
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
  /**
   * What is kept for the gradient. 'float32': query, key and value as they are, the output in float32 and
   * logSumExp. 'bfloat16': query, key and value rounded to bfloat16; the backward pass computes the rest
   * again, and gives the gradient at the rounded values. Default: 'float32'.
   */
  saveDtype?: FloatDType | undefined;
  /** Throw where no fused kernel takes the call, instead of falling back to tfjs ops. */
  requireFused?: boolean | undefined;
}

export interface AttentionOptions<
  D extends FloatDType | undefined = FloatDType | undefined,
> extends PackedAttentionOptions<D> {
  /**
   * Order of the axes of query, key, value and output: [B, M, H, K] or [B, H, M, K]. Neither is copied.
   * Default: 'BMHK'.
   */
  layout?: AttentionLayout | undefined;
}

const SHARED_OPTIONS: readonly (keyof PackedAttentionOptions)[] = [
  'scale',
  'p',
  'seed',
  'outputDtype',
  'softcap',
  'sink',
  'saveDtype',
  'requireFused',
];
const OPTIONS = [...SHARED_OPTIONS, 'layout'];
const PACKED_OPTIONS = ['numHeads', 'numKvHeads', ...SHARED_OPTIONS];

/** A checked call. Nothing has been computed for it yet. */
export interface AttentionCall {
  op: string;
  /** Key and value are absent if query is the packed tensor of all three. */
  operands: {
    query: FloatTensor;
    key?: FloatTensor;
    value?: FloatTensor;
    bias: Tensor | undefined;
    sink: Tensor | undefined;
  };
  dims: AttentionDims;
  /** Shapes of the operands in the layout of kernels. */
  shapes: OperandShapes;
  /** Shape of the bias in the layout of kernels. */
  biasShape: number[] | null;
  /** Shape of the output as the user gets it. */
  userShape: number[];
  saveDtype: FloatDType;
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
  const { layout = 'BMHK' } = options;
  const mend = 'Leave it out for [B, M, H, K].';
  checkChoice(op, 'options.layout', layout, ['BMHK', 'BHMK'], mend);
  const dimsOf = layout === 'BMHK' ? attentionDims : headMajorDims;
  const dims = dimsOf(op, query.shape, key.shape, value.shape);
  const userShape = [...query.shape.slice(0, -1), dims.valueDim];
  return checkedCall(op, { query, key, value }, { layout, dims, userShape }, attnBias, options);
}

/** The same of packed attention. */
export function checkPackedCall(
  op: string,
  qkv: unknown,
  attnBias: unknown,
  options: PackedAttentionOptions & PackedHeads,
): AttentionCall {
  checkOptions(op, options, PACKED_OPTIONS);
  checkFloatTensor(op, 'qkv', qkv);
  const dims = packedDims(op, qkv.shape, options);
  const heads = qkv.rank === 3 ? [dims.heads * dims.keyDim] : [dims.heads, dims.keyDim];
  const userShape = [dims.batch, dims.queries, ...heads];
  const form = { layout: 'packed' as const, dims, userShape };
  return checkedCall(op, { query: qkv }, form, attnBias, options);
}

type Operands = Pick<AttentionCall['operands'], 'query' | 'key' | 'value'>;
type Form = Pick<AttentionCall, 'dims' | 'userShape'> & { layout: OperandLayout };

function checkedCall(
  op: string,
  operands: Operands,
  { layout, dims, userShape }: Form,
  attnBias: unknown,
  options: PackedAttentionOptions,
): AttentionCall {
  const numbers = attentionNumbers(op, options, dims.keyDim);
  checkOutputDType(op, options.outputDtype);
  const { saveDtype = 'float32', sink } = options;
  const saveMend = "Leave it out for 'float32'.";
  checkChoice(op, 'options.saveDtype', saveDtype, ['float32', 'bfloat16'], saveMend);
  checkRequireFused(op, options.requireFused);
  if (sink !== undefined) checkSink(op, sink, dims.heads);
  const shapes = operandShapes(layout, dims);
  const isPacked = layout === 'packed';
  const { plan, bias } = maskOf(op, attnBias, dims, isPacked ? 'qkv' : 'query');
  const dtype = floatDType(operands.query);
  return {
    op,
    operands: { ...operands, bias, sink },
    dims,
    shapes,
    biasShape: bias
      ? biasShape(op, bias.shape, dims, isPacked ? shapes.query : operands.query.shape)
      : null,
    userShape,
    saveDtype,
    attrs: {
      plan,
      ...numbers,
      dtype,
      outputDtype: options.outputDtype ?? dtype,
      biasKind: biasKindOf(bias),
      layout,
      kvHeads: dims.kvHeads,
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
  argument: string,
): { plan: MaskPlan; bias: Tensor | undefined } {
  if (attnBias === null || attnBias === undefined) return { plan: NO_MASK, bias: undefined };
  if (isAttentionBias(attnBias)) {
    if (attnBias.packsSequences && dims.batch !== 1) {
      throw rangeError({
        op,
        argument,
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
