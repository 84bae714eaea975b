// SPDX-License-Identifier: Apache-2.0
/**
 * From a dot product to a score, the same in every attention program.
 *
 *   s = softcap * tanh(scale * q·k / softcap)  (or scale * q·k),  + bias,  hidden where masked
 *
 * Scores are kept in base 2 (times log2 e), as exp2 is what the hardware has. A hidden score is a
 * large finite number: a shader must not rely on infinities, so whoever turns scores into weights
 * tests `is_hidden`. A bias of -Infinity hides, and is recognised by its bits; one that is as low as
 * finite numbers get does not, and is raised to LOWEST.
 */
import { DROPOUT } from './dropout.js';

export interface ScoreVariant {
  bias: 'none' | 'float' | 'bool';
  softcap: boolean;
  dropout: boolean;
}

/** Uniforms of the score, besides the mask's. */
export const SCORE_UNIFORMS = {
  scale: 'f32',
  softcap: 'f32',
  bias_b: 'u32',
  bias_h: 'u32',
  bias_i: 'u32',
  bias_j: 'u32',
  seed: 'u32',
  drop_threshold: 'u32',
  keep_scale: 'f32',
} as const;

const BIAS = {
  none: 'fn biased(s: f32, b: u32, h: u32, i: u32, j: u32) -> f32 { return s; }',
  float: /* wgsl */ `
fn biased(s: f32, b: u32, h: u32, i: u32, j: u32) -> f32 {
  let bits = bias[bias_index(b, h, i, j)];
  let total = s + bitcast<f32>(bits);
  return select(select(total, LOWEST, total < LOWEST), HIDDEN, bits == 0xff800000u);
}`,
  bool: /* wgsl */ `
fn biased(s: f32, b: u32, h: u32, i: u32, j: u32) -> f32 {
  return select(HIDDEN, s, bias[bias_index(b, h, i, j)] != 0u);
}`,
};

const BIAS_INDEX = /* wgsl */ `
fn bias_index(b: u32, h: u32, i: u32, j: u32) -> u32 {
  return b * uniforms.bias_b + h * uniforms.bias_h + i * uniforms.bias_i + j * uniforms.bias_j;
}`;

export function scoreCode({ bias, softcap, dropout }: ScoreVariant): string {
  // tanh of a large argument overflows inside some drivers' implementations.
  const cap = 'uniforms.softcap * tanh(clamp(raw / uniforms.softcap, -15.0, 15.0))';
  return /* wgsl */ `
const LOG2E = 1.4426950408889634;
const LN2 = 0.6931471805599453;
const HIDDEN = -3.0e38;
const LOWEST = -6.0e37; // in base 2 still above what is_hidden takes for hidden
fn is_hidden(score: f32) -> bool { return score < -1.0e38; }
fn capped(dot_product: f32) -> f32 {
  let raw = dot_product * uniforms.scale;
  return ${softcap ? cap : 'raw'};
}
// d score / d dot product, from the capped score.
fn score_slope(s: f32) -> f32 {
  ${
    softcap
      ? 'let t = s / uniforms.softcap; return uniforms.scale * (1.0 - t * t);'
      : 'return uniforms.scale;'
  }
}
${bias === 'none' ? '' : BIAS_INDEX}
${BIAS[bias]}
// The score in base 2; b, h, i and j are the batch item, query head, query row and key row.
fn score(s: f32, b: u32, h: u32, i: u32, j: u32, seen: bool) -> f32 {
  let total = biased(s, b, h, i, j);
  return select(HIDDEN, total * LOG2E, seen & !is_hidden(total));
}
${dropout ? DROPOUT : ''}
`;
}
