// SPDX-License-Identifier: Apache-2.0
/** How qkNormAttention norms queries and keys: its arguments, their defaults and their checks. */
import type { FloatDType } from '../../spec/dtype.js';
import { describe, rangeError } from '../../spec/errors.js';
import { checkEpsilon, checkWeightOffset } from '../../spec/norm.js';
import { booleanArg, choiceArg } from '../../layers/layer_args.js';

/** layer: minus mean, over deviation. rms: over root mean square. l2: over length. none: as it is. */
export type QKNormKind = 'layer' | 'rms' | 'l2' | 'none';

/** What is rounded to bfloat16: the normed values, once, or already gamma and beta. */
export type CastStrategy = 'output' | 'weights';

export interface QKNormArgs {
  /** Which norm. 'layer'. */
  norm?: QKNormKind | null | undefined;
  /** dtype of query, key and value in the attention; 'float32' casts nothing. 'bfloat16'. */
  castTo?: FloatDType | null | undefined;
  /**
   * 'output' keeps gamma and beta in float32 and rounds the normed values once, in the kernel that
   * norms them; 'weights' rounds gamma and beta first, which costs accuracy. 'output'.
   */
  castStrategy?: CastStrategy | null | undefined;
  /** Whether each head is normed by itself; else all heads of a token are, as one row. true. */
  perHead?: boolean | null | undefined;
  /** Whether all heads have the same gamma and beta; matters with `perHead` only. true. */
  sharedAcrossHeads?: boolean | null | undefined;
  /** Added to the variance or mean square; for 'l2' its square is added to the squared length. 1e-6. */
  epsilon?: number | null | undefined;
  /** Whether there is a gamma. true; for 'l2' and 'none' false. */
  useGamma?: boolean | null | undefined;
  /** Whether there is a beta, which only 'layer' may have. true for 'layer'. */
  useBeta?: boolean | null | undefined;
  /** Added to gamma, 'rms' only; 1 for weights stored around zero, which then start as zeros. 0. */
  weightOffset?: number | null | undefined;
}

export const QK_NORM_ARGS: readonly (keyof QKNormArgs)[] = [
  'norm',
  'castTo',
  'castStrategy',
  'perHead',
  'sharedAcrossHeads',
  'epsilon',
  'useGamma',
  'useBeta',
  'weightOffset',
];

/** QKNormArgs with every default filled in. */
export interface QKNormRules {
  readonly norm: QKNormKind;
  readonly castTo: FloatDType;
  readonly castStrategy: CastStrategy;
  readonly perHead: boolean;
  readonly sharedAcrossHeads: boolean;
  readonly epsilon: number;
  readonly useGamma: boolean;
  readonly useBeta: boolean;
  readonly weightOffset: number;
}

const KINDS = ['layer', 'rms', 'l2', 'none'] as const;

/** Checks the arguments and fills in the defaults. */
export function qkNormRules(op: string, args: QKNormArgs): QKNormRules {
  const norm = choiceArg(op, 'norm', args.norm, KINDS, 'layer');
  const hasAffine = norm === 'layer' || norm === 'rms';
  const rules: QKNormRules = {
    norm,
    castTo: choiceArg(op, 'castTo', args.castTo, ['bfloat16', 'float32'], 'bfloat16'),
    castStrategy: choiceArg(op, 'castStrategy', args.castStrategy, ['output', 'weights'], 'output'),
    perHead: booleanArg(op, 'perHead', args.perHead, true),
    sharedAcrossHeads: booleanArg(op, 'sharedAcrossHeads', args.sharedAcrossHeads, true),
    epsilon: args.epsilon ?? 1e-6,
    useGamma: booleanArg(op, 'useGamma', args.useGamma, hasAffine),
    useBeta: booleanArg(op, 'useBeta', args.useBeta, norm === 'layer'),
    weightOffset: args.weightOffset ?? 0,
  };
  checkEpsilon(op, 'epsilon', rules.epsilon);
  checkWeightOffset(op, 'weightOffset', rules.weightOffset);
  checkTogether(op, rules);
  return rules;
}

function checkTogether(op: string, rules: QKNormRules): void {
  const { norm, epsilon, useGamma, useBeta, weightOffset } = rules;
  const reject = (argument: string, expected: string, got: unknown, mend: string) =>
    rangeError({
      op,
      argument,
      expected: `${expected} with norm '${norm}'`,
      got: describe(got),
      mend,
    });
  if (norm === 'none' && useGamma) {
    throw reject('useGamma', 'false', useGamma, "Choose 'layer', 'rms' or 'l2', or leave it out.");
  }
  if (norm !== 'layer' && useBeta) {
    throw reject('useBeta', 'false', useBeta, "Choose 'layer', or leave it out.");
  }
  if (norm !== 'rms' && weightOffset !== 0) {
    throw reject('weightOffset', '0', weightOffset, "Choose 'rms', or leave it out.");
  }
  if (norm === 'l2' && epsilon < 1e-16) {
    throw reject('epsilon', 'at least 1e-16', epsilon, 'Its square must not vanish in float32.');
  }
}
