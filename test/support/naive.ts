// SPDX-License-Identifier: Apache-2.0
/** The naive compositions in float32 and bfloat16 that a result may be at most 2 or 3 times worse than. */
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import type { FloatDType } from '../../src/spec/dtype.js';
import { referenceAttention, referenceAttentionGradients } from './reference_attention.js';
import type { Arithmetic, AttentionGradients, AttentionResult } from './reference_attention.js';
import type { SeededAttention } from './seeded_attention.js';

/** Rounds a result the way an op that returns `dtype` would. */
export function inDType(values: ArrayLike<number>, dtype: FloatDType): Float32Array {
  const rounded = Float32Array.from(values);
  return dtype === 'bfloat16' ? roundToBFloat16Values(rounded) : rounded;
}

/** Calls `make` at most once. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

const toBFloat16 = (x: number): number => roundToBFloat16Values(Float32Array.of(x))[0]!;

function arithmeticOf(dtype: FloatDType): Arithmetic {
  return { round: Math.fround, store: dtype === 'bfloat16' ? toBFloat16 : Math.fround };
}

export function naiveAttention(s: SeededAttention, dtype: FloatDType): () => AttentionResult {
  return once(() => referenceAttention(s.problem, arithmeticOf(dtype)));
}

export function naiveAttentionGradients(
  s: SeededAttention,
  dtype: FloatDType,
): () => AttentionGradients {
  return once(() =>
    referenceAttentionGradients(s.problem, s.doutput, s.dlogSumExp, arithmeticOf(dtype)),
  );
}
