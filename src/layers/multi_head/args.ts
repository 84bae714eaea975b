// SPDX-License-Identifier: Apache-2.0
/** What multiHeadAttention is made with: its arguments, their defaults and checks, and Keras' names for them. */
import type { serialization } from '@tensorflow/tfjs-core';
import { isPlainObject, checkOptions } from '../../ops/arguments.js';
import { checkNumber } from '../../spec/attention.js';
import type { FloatDType } from '../../spec/dtype.js';
import { describe, rangeError, typeError } from '../../spec/errors.js';
import { ATTENTION_LAYER_ARGS } from '../../layers/attention_layer.js';
import type { AttentionLayerArgs } from '../../layers/attention_layer.js';
import type { Constraint, Identifier, Initializer, Regularizer } from '../../layers/identifiers.js';
import type { LayerIdentifier } from '../../layers/nested_layer.js';
import { QK_NORM_ARGS } from '../../layers/qk_norm/rules.js';
import type { CastStrategy, QKNormArgs, QKNormKind } from '../../layers/qk_norm/rules.js';
import type { RopeArg } from '../../layers/rotary_positions.js';

/** The norm of queries and keys: the options of qkNormAttention, but for the casts. */
export interface MultiHeadQKNorm extends Omit<QKNormArgs, 'castTo' | 'castStrategy'> {
  qNorm?: LayerIdentifier | null | undefined;
  kNorm?: LayerIdentifier | null | undefined;
}

export interface MultiHeadAttentionArgs extends AttentionLayerArgs {
  /** Query heads, H. */
  numHeads: number;
  /** Size of each query and key head, K. */
  keyDim: number;
  /** Size of each value head, V. K. */
  valueDim?: number | null | undefined;
  /** Key and value heads, G, a divisor of H: grouped-query attention, with G = 1 multi-query. H. */
  numKvHeads?: number | null | undefined;
  /** Channels of the output; Keras' `outputShape`. Those of the query. */
  units?: number | null | undefined;
  /** Whether the four projections have biases. true. */
  useBias?: boolean | null | undefined;
  /** QK-norm: true for that of qkNormAttention, a kind of norm, or all its options. None. */
  qkNorm?: boolean | QKNormKind | MultiHeadQKNorm | null | undefined;
  /** Rotary position embedding: true, or as in `rotaryEmbedding`. None. */
  rope?: RopeArg;
  /** dtype of query, key and value in the attention. 'float32'. */
  castTo?: FloatDType | null | undefined;
  /** As in qkNormAttention. 'output'. */
  castStrategy?: CastStrategy | null | undefined;
  /** For each kernel as a matrix, [C, H*K] or [H*V, units]. 'glorotUniform'. */
  kernelInitializer?: Identifier<Initializer> | null | undefined;
  /** 'zeros'. */
  biasInitializer?: Identifier<Initializer> | null | undefined;
  kernelRegularizer?: Identifier<Regularizer> | null | undefined;
  biasRegularizer?: Identifier<Regularizer> | null | undefined;
  kernelConstraint?: Identifier<Constraint> | null | undefined;
  biasConstraint?: Identifier<Constraint> | null | undefined;
}

export const MULTI_HEAD_ARGS: readonly string[] = [
  'numHeads',
  'keyDim',
  'valueDim',
  'numKvHeads',
  'units',
  'useBias',
  'qkNorm',
  'rope',
  'castTo',
  'castStrategy',
  'kernelInitializer',
  'biasInitializer',
  'kernelRegularizer',
  'biasRegularizer',
  'kernelConstraint',
  'biasConstraint',
  ...ATTENTION_LAYER_ARGS,
];

/** The sizes of a layer; `units` is null where it follows from the query. */
export interface MultiHeadSizes {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly units: number | null;
}

/** Checks the sizes and fills in those that were left out. */
export function multiHeadSizes(op: string, args: MultiHeadAttentionArgs): MultiHeadSizes {
  const { numHeads, keyDim } = args;
  const { numKvHeads, valueDim, units } = args;
  const sizes = {
    numHeads,
    keyDim,
    numKvHeads: numKvHeads ?? numHeads,
    valueDim: valueDim ?? keyDim,
    units: units ?? null,
  };
  for (const [name, size] of Object.entries(sizes)) {
    const isCount = (x: number) => Number.isInteger(x) && x > 0;
    const mend = 'For example multiHeadAttention({numHeads: 8, keyDim: 64}).';
    if (size !== null) checkNumber(op, name, size, isCount, 'a whole number above 0', mend);
  }
  if (numHeads % sizes.numKvHeads !== 0) {
    throw rangeError({
      op,
      argument: 'numKvHeads',
      expected: `a divisor of numHeads, ${numHeads}`,
      got: String(sizes.numKvHeads),
      mend: 'Each key and value head serves as many query heads.',
    });
  }
  return sizes;
}

/** The names of a `qkNorm` argument. */
export const NORM_ARGS = [
  'qNorm',
  'kNorm',
  ...QK_NORM_ARGS.filter((name) => !name.startsWith('cast')),
] as const;

/** The `qkNorm` argument as arguments of qkNormAttention. */
export function qkNormArgs(op: string, qkNorm: MultiHeadAttentionArgs['qkNorm']): MultiHeadQKNorm {
  if (qkNorm === null || qkNorm === undefined || qkNorm === false) return { norm: 'none' };
  if (qkNorm === true) return {};
  if (typeof qkNorm === 'string') return { norm: qkNorm };
  if (!isPlainObject(qkNorm)) {
    throw typeError({
      op,
      argument: 'qkNorm',
      expected: 'true, the name of a norm, or an object',
      got: describe(qkNorm),
      mend: "Pass for example 'rms', or {norm: 'rms', epsilon: 1e-5}.",
    });
  }
  checkOptions(op, qkNorm, NORM_ARGS);
  return qkNorm;
}

/** A configuration that Keras wrote, in this layer's names; one of this layer is returned as it is. */
export function fromKeras(op: string, config: serialization.ConfigDict): serialization.ConfigDict {
  const { outputShape, attentionAxes, ...rest } = config;
  if (attentionAxes !== undefined && attentionAxes !== null) {
    const axes = Array.isArray(attentionAxes) ? attentionAxes : [attentionAxes];
    if (axes.length !== 1 || axes[0] !== 1) {
      throw rangeError({
        op,
        argument: 'attentionAxes',
        expected: 'null or [1], the steps of [B, M, C]',
        got: describe(attentionAxes),
        mend: 'Reshape the other axes into the batch.',
      });
    }
  }
  const names = ['flashAttention', 'queryShape', 'valueShape', 'keyShape', 'activityRegularizer'];
  const known = Object.entries(rest).filter(([name]) => !names.includes(name));
  const own = Object.fromEntries(known) as serialization.ConfigDict;
  if (outputShape === undefined || outputShape === null) return own;
  const shape = (Array.isArray(outputShape) ? outputShape : [outputShape]) as number[];
  if (shape.length !== 1) {
    throw rangeError({
      op,
      argument: 'outputShape',
      expected: 'one size',
      got: describe(outputShape),
      mend: 'Reshape the output with tf.layers.reshape().',
    });
  }
  return { ...own, units: shape[0]! };
}
