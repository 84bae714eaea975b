// SPDX-License-Identifier: Apache-2.0
/** The naive float32 compositions that a result may be at most 2 or 3 times worse than. */
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import type { FloatDType } from '../../src/spec/dtype.js';
import { referenceAttention, referenceAttentionGradients } from './reference_attention.js';
import type { AttentionGradients, AttentionResult } from './reference_attention.js';
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

export function naiveAttention(s: SeededAttention): () => AttentionResult {
  return once(() => referenceAttention(s.problem, Math.fround));
}

export function naiveAttentionGradients(s: SeededAttention): () => AttentionGradients {
  return once(() => referenceAttentionGradients(s.problem, s.doutput, s.dlogSumExp, Math.fround));
}
