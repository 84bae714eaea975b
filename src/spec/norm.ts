// SPDX-License-Identifier: Apache-2.0
/**
 * What the fused norms accept, and the one form that their kernels see.
 *
 *   output = (h - mean(h)) / sqrt(var(h) + epsilon) * (gamma + weightOffset) + beta
 *
 * over the last axis of h = x (+ residual); RMS norm leaves out the mean and beta.
 */
import type { FloatDType } from './dtype.js';
import { describe, rangeError, typeError } from './errors.js';
import { sameShape } from './shape.js';

export type NormKind = 'layer' | 'rms';

/** Options of fusedLayerNorm and fusedAddLayerNorm. */
export interface LayerNormOptions<D = FloatDType | undefined> {
  /** Added to the variance; positive. 1e-5. */
  epsilon?: number | undefined;
  /** dtype of the output; that of x. */
  outputDtype?: D;
  /** Throw where no fused kernel takes the call, instead of falling back to tfjs ops. false. */
  requireFused?: boolean | undefined;
}

/** Options of fusedRMSNorm and fusedAddRMSNorm. */
export interface RMSNormOptions<D = FloatDType | undefined> {
  /** Added to the mean square; positive. 1e-6. */
  epsilon?: number | undefined;
  /** Added to gamma, 1 for weights stored around zero; without gamma it does nothing. 0. */
  weightOffset?: number | undefined;
  /** dtype of the output; that of x. */
  outputDtype?: D;
  /** Throw where no fused kernel takes the call, instead of falling back to tfjs ops. false. */
  requireFused?: boolean | undefined;
}

export type NormOptions = RMSNormOptions;

export const NORM_OPTIONS = {
  layer: ['epsilon', 'outputDtype', 'requireFused'],
  rms: ['epsilon', 'weightOffset', 'outputDtype', 'requireFused'],
} as const;

const DEFAULT_EPSILON = { layer: 1e-5, rms: 1e-6 } as const;

/** What the shape and dtype rules look at. */
export interface NormOperand {
  shape: readonly number[];
  dtype: string;
}

export interface NormOperands {
  x: NormOperand;
  residual?: NormOperand | undefined;
  gamma?: NormOperand | undefined;
  beta?: NormOperand | undefined;
}

/** The attributes of the FusedNorm kernel, but for the list of inputs. */
export interface NormSpec {
  kind: NormKind;
  epsilon: number;
  weightOffset: number;
  xDtype: FloatDType;
  residualDtype: FloatDType;
  gammaDtype: FloatDType;
  betaDtype: FloatDType;
  outputDtype: FloatDType;
}

/** Checks shapes and numbers of a norm whose operands are float tensors, and fills in defaults. */
export function normSpec(
  op: string,
  kind: NormKind,
  operands: NormOperands,
  options: NormOptions,
): NormSpec {
  const { x, residual, gamma, beta } = operands;
  checkRank(op, x);
  if (residual) checkResidual(op, residual, x);
  if (gamma) checkWeight(op, 'gamma', gamma, x);
  if (beta) checkWeight(op, 'beta', beta, x);
  const { epsilon = DEFAULT_EPSILON[kind], weightOffset = 0, outputDtype } = options;
  checkEpsilon(op, 'options.epsilon', epsilon);
  checkWeightOffset(op, 'options.weightOffset', weightOffset);
  return {
    kind,
    epsilon,
    weightOffset,
    xDtype: storage(x),
    residualDtype: storage(residual),
    gammaDtype: storage(gamma),
    betaDtype: storage(beta),
    outputDtype: outputDtype ?? storage(x),
  };
}

function storage(operand: NormOperand | undefined): FloatDType {
  return operand?.dtype === 'bfloat16' ? 'bfloat16' : 'float32';
}

function checkRank(op: string, x: NormOperand): void {
  if (x.shape.length === 0) {
    throw rangeError({
      op,
      argument: 'x',
      expected: 'of rank 1 or more, as the last axis is normed',
      got: 'a scalar',
      mend: 'Give it an axis with tf.reshape(x, [1]).',
    });
  }
}

function checkResidual(op: string, residual: NormOperand, x: NormOperand): void {
  if (!sameShape(residual.shape, x.shape)) {
    throw rangeError({
      op,
      argument: 'residual',
      expected: `of x's shape [${x.shape.join(', ')}]`,
      got: `shape [${residual.shape.join(', ')}]`,
      mend: 'There is no broadcasting here: use tf.broadcastTo() or tf.reshape() first.',
    });
  }
}

function checkWeight(op: string, argument: string, weight: NormOperand, x: NormOperand): void {
  const columns = x.shape[x.shape.length - 1]!;
  if (!sameShape(weight.shape, [columns])) {
    throw rangeError({
      op,
      argument,
      expected: `of shape [${columns}], the last axis of x [${x.shape.join(', ')}]`,
      got: `shape [${weight.shape.join(', ')}]`,
      mend: `Use tf.reshape(), or leave ${argument} out for none.`,
    });
  }
}

/** The smallest normal float32: GPUs may take numbers below it for zero. */
const SMALLEST = 2 ** -126;

/** Throws unless `epsilon` is a positive number that no device rounds to zero. */
export function checkEpsilon(
  op: string,
  argument: string,
  epsilon: unknown,
): asserts epsilon is number {
  checkNumber(op, argument, epsilon, 'Leave it out for the default.');
  const rounded = Math.fround(epsilon);
  if (!(rounded >= SMALLEST) || rounded === Infinity) {
    throw rangeError({
      op,
      argument,
      expected: 'positive and finite in float32, at least 1.2e-38',
      got: describe(epsilon),
      mend: 'Without it a row of equal values would be divided by zero; try 1e-6.',
    });
  }
}

/** Throws unless `weightOffset` is a finite number. */
export function checkWeightOffset(
  op: string,
  argument: string,
  weightOffset: unknown,
): asserts weightOffset is number {
  checkNumber(op, argument, weightOffset, 'Pass 0, or 1 for weights stored around zero.');
  if (!Number.isFinite(Math.fround(weightOffset))) {
    throw rangeError({
      op,
      argument,
      expected: 'finite in float32',
      got: describe(weightOffset),
      mend: 'Pass 0, or 1 for weights stored around zero.',
    });
  }
}

function checkNumber(
  op: string,
  argument: string,
  value: unknown,
  mend: string,
): asserts value is number {
  if (typeof value !== 'number') {
    throw typeError({ op, argument, expected: 'a number', got: describe(value), mend });
  }
}
