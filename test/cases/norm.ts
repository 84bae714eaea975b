// SPDX-License-Identifier: Apache-2.0
/** The norm cases: those of test/golden, and more whose reference the tests compute. */
import index from '../golden/index.json' with { type: 'json' };
import type { FloatDType } from '../../src/spec/dtype.js';

export interface NormCase {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  readonly epsilon: number;
  readonly gamma: boolean;
  readonly beta: boolean;
  readonly rms: boolean;
  readonly residual: boolean;
  readonly xscale: number;
  readonly xoffset: number;
  readonly seed: number;
  readonly weightOffset?: number;
  /** dtypes that differ from `dtype` (x) or from float32 (gamma, beta). */
  readonly residualDtype?: FloatDType;
  readonly weightDtype?: FloatDType;
  readonly outputDtype?: FloatDType;
  /** The returned sum has a gradient too. */
  readonly dsum?: boolean;
}

export interface QKNormCase {
  readonly name: string;
  /** [B, M, H, D] */
  readonly dims: readonly [number, number, number, number];
  readonly causal: boolean;
  readonly norm: 'layer' | 'rms';
  readonly epsilon: number;
  readonly seed: number;
}

export const goldenNormCases = index.layernorm as readonly NormCase[];
export const qkNormCases = index.qknorm as unknown as readonly QKNormCase[];

let nextSeed = 50000;
function extra(name: string, options: Partial<NormCase>): NormCase {
  nextSeed += 10;
  return {
    name,
    shape: [6, 64],
    dtype: 'float32',
    epsilon: 1e-5,
    gamma: true,
    beta: options.rms !== true,
    rms: false,
    residual: false,
    xscale: 1,
    xoffset: 0,
    seed: nextSeed,
    ...options,
  };
}

export const extraNormCases: readonly NormCase[] = [
  extra('rank 1', { shape: [64] }),
  extra('beta without gamma', { gamma: false }),
  extra('rms with weightOffset 1', { rms: true, weightOffset: 1 }),
  extra('rms without gamma', { rms: true, gamma: false }),
  extra('rms, odd channels, bfloat16', { rms: true, shape: [5, 31], dtype: 'bfloat16' }),
  extra('bfloat16 out of float32', { outputDtype: 'bfloat16' }),
  extra('bfloat16 out of float32, odd channels', { outputDtype: 'bfloat16', shape: [5, 31] }),
  extra('float32 out of bfloat16', { dtype: 'bfloat16', outputDtype: 'float32' }),
  extra('bfloat16 weights', { weightDtype: 'bfloat16' }),
  extra('bfloat16 weights and input', { weightDtype: 'bfloat16', dtype: 'bfloat16' }),
  extra('the sum has a gradient', { residual: true, dsum: true }),
  extra('the sum of an rms norm has a gradient', { residual: true, dsum: true, rms: true }),
  extra('float32 x, bfloat16 residual', { residual: true, residualDtype: 'bfloat16' }),
  extra('bfloat16 x, float32 residual', {
    residual: true,
    dtype: 'bfloat16',
    residualDtype: 'float32',
    dsum: true,
  }),
  extra('residual, bfloat16, odd channels', { residual: true, dtype: 'bfloat16', shape: [3, 33] }),
];

/**
 * Rows of which nothing else has the length: where the programs of long ones and of few lanes are at their ends.
 * With at most four lanes, rows of more than 128 values are cut into segments of 32.
 */
export const longNormCases: readonly NormCase[] = [
  extra('one value more than a segment', { shape: [2, 129] }),
  extra('rms with weightOffset, odd channels', { shape: [3, 161], rms: true, weightOffset: 1 }),
  extra('residual, the sum has a gradient', { shape: [2, 3, 132], residual: true, dsum: true }),
  extra('rms, residual, bfloat16, odd channels', {
    ...{ shape: [3, 191], rms: true, residual: true, dsum: true },
    ...{ dtype: 'bfloat16', weightDtype: 'bfloat16' },
  }),
  extra('bfloat16 out of float32 weights', { shape: [2, 260], dtype: 'bfloat16' }),
  extra('no weights, far from zero', { shape: [2, 300], gamma: false, beta: false, xoffset: 1e4 }),
];
