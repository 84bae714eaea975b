// SPDX-License-Identifier: Apache-2.0
/**
 * Layer norm and RMS norm with their gradients as plain loops, two-pass; float64 by default and,
 * with Math.fround, the naive float32 composition (see reference_attention.ts).
 *
 *     h = x + residual     n = (h - mean) * rstd     y = n * (gamma + weightOffset) + beta
 */
import { exact } from './reference_attention.js';
import type { Round } from './reference_attention.js';

export interface NormProblem {
  readonly rows: number;
  readonly channels: number;
  readonly x: ArrayLike<number>;
  readonly residual?: ArrayLike<number>;
  readonly gamma?: ArrayLike<number>;
  readonly beta?: ArrayLike<number>;
  readonly rms: boolean;
  readonly epsilon: number;
  readonly weightOffset?: number;
}

export interface NormGradients {
  /** Of x, and of residual. */
  x: Float64Array;
  gamma: Float64Array;
  beta: Float64Array;
}

interface Row {
  sum: Float64Array;
  normed: Float64Array;
  rstd: number;
}

function rowOf(p: NormProblem, row: number, round: Round): Row {
  const start = row * p.channels;
  const sum = new Float64Array(p.channels);
  let mean = 0;
  for (let c = 0; c < p.channels; c++) {
    sum[c] = round(p.x[start + c]! + (p.residual ? p.residual[start + c]! : 0));
    mean = round(mean + sum[c]!);
  }
  mean = p.rms ? 0 : round(mean / p.channels);
  const centred = sum.map((h) => round(h - mean));
  const squares = centred.reduce((total, c) => round(total + round(c * c)), 0);
  const rstd = round(1 / round(Math.sqrt(round(round(squares / p.channels) + p.epsilon))));
  return { sum, normed: centred.map((c) => round(c * rstd)), rstd };
}

function weight(p: NormProblem, c: number): number {
  return (p.gamma ? p.gamma[c]! : 1) + (p.gamma ? (p.weightOffset ?? 0) : 0);
}

export function referenceNorm(
  p: NormProblem,
  round: Round = exact,
): { output: Float64Array; sum: Float64Array } {
  const output = new Float64Array(p.rows * p.channels);
  const sum = new Float64Array(p.rows * p.channels);
  for (let row = 0; row < p.rows; row++) {
    const { sum: h, normed } = rowOf(p, row, round);
    for (let c = 0; c < p.channels; c++) {
      sum[row * p.channels + c] = h[c]!;
      const scaled = round(normed[c]! * round(weight(p, c)));
      output[row * p.channels + c] = round(scaled + (p.beta ? p.beta[c]! : 0));
    }
  }
  return { output, sum };
}

/** Gradients of sum(output * dy) + sum(sum * dsum). */
export function referenceNormGradients(
  p: NormProblem,
  dy: ArrayLike<number>,
  dsum: ArrayLike<number> | null = null,
  round: Round = exact,
): NormGradients {
  const x = new Float64Array(p.rows * p.channels);
  const gamma = new Float64Array(p.channels);
  const beta = new Float64Array(p.channels);
  for (let row = 0; row < p.rows; row++) {
    const start = row * p.channels;
    const { normed, rstd } = rowOf(p, row, round);
    let meanDn = 0;
    let meanDnNormed = 0;
    const dn = new Float64Array(p.channels);
    for (let c = 0; c < p.channels; c++) {
      const g = dy[start + c]!;
      gamma[c] = round(gamma[c]! + round(g * normed[c]!));
      beta[c] = round(beta[c]! + g);
      dn[c] = round(g * round(weight(p, c)));
      meanDn = round(meanDn + dn[c]!);
      meanDnNormed = round(meanDnNormed + round(dn[c]! * normed[c]!));
    }
    meanDn = p.rms ? 0 : round(meanDn / p.channels);
    meanDnNormed = round(meanDnNormed / p.channels);
    for (let c = 0; c < p.channels; c++) {
      const inner = round(round(dn[c]! - meanDn) - round(normed[c]! * meanDnNormed));
      x[start + c] = round(round(inner * rstd) + (dsum ? dsum[start + c]! : 0));
    }
  }
  return { x, gamma, beta };
}
