// SPDX-License-Identifier: Apache-2.0
/**
 * When a result passes (DESIGN.md, Numerics). An element passes when its error against the float64
 * reference is at most
 *
 *     forward,  float32    3e-5 * unit + 3e-5 * |reference|
 *     forward,  bfloat16   one bfloat16 ulp of the reference + 3e-5 * unit
 *     gradient, float32    1e-4 * unit + 1e-4 * |reference|
 *     gradient, bfloat16   4e-3 * unit + 1e-2 * |reference|
 *
 * `unit` is 1 for inputs that are standard normal. A case that scales them scales the unit: a number
 * (of a saturated softmax the gradient is next to 0, its rounding error is not), or the largest
 * |reference| (unit: 'largest'). Where a case scales them it is the largest
 * |reference| (unit: 'largest'), for attention at least 1 ('at least one': of a saturated softmax
 * the gradient is next to 0, its rounding error is not). Where an element exceeds this, the tensor still passes if its largest
 * error is at most 2 times (gradients: 3 times) that of the naive composition in the same dtype,
 * which is computed only then. Infinities must be equal, and NaN must be where the reference has NaN.
 */
import type { FloatDType } from '../../src/spec/dtype.js';

export interface CloseRule {
  readonly kind: 'forward' | 'gradient';
  readonly dtype: FloatDType;
  /** Default: 1. */
  readonly unit?: number | 'largest';
  /** The naive composition's values. */
  readonly naive?: () => ArrayLike<number>;
}

/** Distance between neighbouring values of `dtype` at the magnitude of x. */
export function ulp(x: number, dtype: FloatDType): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(x)) + 1e-12));
  const bits = dtype === 'bfloat16' ? 7 : 23;
  return 2 ** ((Number.isFinite(exponent) ? exponent : -126) - bits);
}

function allowedError(reference: number, unit: number, { kind, dtype }: CloseRule): number {
  const size = Math.abs(reference);
  if (kind === 'forward') {
    return 3e-5 * unit + (dtype === 'float32' ? 3e-5 * size : ulp(reference, dtype));
  }
  return dtype === 'float32' ? 1e-4 * unit + 1e-4 * size : 4e-3 * unit + 1e-2 * size;
}

/** 0 where both are the same infinity or both NaN; infinite where only one of them is finite. */
function errorOf(got: number, reference: number): number {
  if (Object.is(got, reference) || got === reference) return 0;
  const error = Math.abs(got - reference);
  return Number.isFinite(error) ? error : Infinity;
}

function largest(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (Number.isFinite(size) && size > max) max = size;
  }
  return max;
}

function largestError(got: ArrayLike<number>, reference: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < got.length; i++) max = Math.max(max, errorOf(got[i]!, reference[i]!));
  return max;
}

/** Throws an error that names the worst element unless `got` passes the rule. */
export function expectClose(
  what: string,
  got: ArrayLike<number>,
  reference: ArrayLike<number>,
  rule: CloseRule,
): void {
  if (got.length !== reference.length) {
    throw new Error(`${what}: ${got.length} values, expected ${reference.length}`);
  }
  const unit = rule.unit === 'largest' ? largest(reference) : (rule.unit ?? 1);
  let worst = -1;
  let worstRatio = 1;
  for (let i = 0; i < got.length; i++) {
    const error = errorOf(got[i]!, reference[i]!);
    // An error of 0 passes where nothing is allowed, as in a tensor of zeros.
    const ratio = error === 0 ? 0 : error / allowedError(reference[i]!, unit, rule);
    if (ratio > worstRatio || Number.isNaN(ratio)) {
      worst = i;
      worstRatio = ratio;
    }
  }
  if (worst < 0) return;
  const factor = rule.kind === 'forward' ? 2 : 3;
  const error = largestError(got, reference);
  const naive = rule.naive && Number.isFinite(error) ? largestError(rule.naive(), reference) : null;
  if (naive !== null && error <= factor * naive) return;
  const worstError = errorOf(got[worst]!, reference[worst]!);
  throw new Error(
    `${what}: element ${worst} of ${got.length} should be ${reference[worst]}, got ${got[worst]}: ` +
      `error ${worstError.toPrecision(3)}, ` +
      `${(worstError / ulp(reference[worst]!, rule.dtype)).toPrecision(3)} ${rule.dtype} ulps, ` +
      `${worstRatio.toPrecision(3)} times what is allowed` +
      (naive === null ? '' : `; the naive composition's largest error is ${naive.toPrecision(3)}`),
  );
}

/** Throws unless the two are equal bit by bit, NaN included. */
export function expectSameBits(what: string, got: Float32Array, want: Float32Array): void {
  const a = new Uint32Array(got.buffer, got.byteOffset, got.length);
  const b = new Uint32Array(want.buffer, want.byteOffset, want.length);
  if (a.length !== b.length) throw new Error(`${what}: ${a.length} values and ${b.length}`);
  const differing = a.findIndex((bits, i) => bits !== b[i]);
  if (differing >= 0) {
    throw new Error(`${what}: element ${differing} is ${got[differing]} and ${want[differing]}`);
  }
}
