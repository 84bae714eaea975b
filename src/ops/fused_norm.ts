// SPDX-License-Identifier: Apache-2.0
import { tidy } from '@tensorflow/tfjs-core';
import type { FloatDType, FloatOutput, FloatTensor } from '../spec/dtype.js';
import type { LayerNormOptions, RMSNormOptions } from '../spec/norm.js';
import { asFloatTensor, checkNormCall, runNorm } from './norm_call.js';
import type { NormCall, OptionalTensor } from './norm_call.js';

/**
 * Layer normalization over the last axis, in one kernel on fused backends:
 * (x - mean) / sqrt(variance + epsilon) * gamma + beta.
 *
 * Statistics are float32 and centred before they are squared. With `outputDtype: 'bfloat16'` the
 * kernel rounds its result once, and no float32 copy of it exists. Differentiable in x, gamma and
 * beta; the gradients are float32, and the same on every run.
 *
 * @param x float32 or bfloat16 tensor [..., C] of rank 1 or more.
 * @param gamma [C], float32 or bfloat16; undefined or null for a factor of 1.
 * @param beta [C], float32 or bfloat16; undefined or null for 0.
 * @param options `epsilon` (1e-5, positive) and `outputDtype` (that of x).
 * @returns a tensor of x's shape.
 * @throws TypeError for no float tensor, a disposed one, or an unknown option; RangeError for a
 *   scalar, a gamma or beta of another shape than [C], or an epsilon that is not positive.
 * @example
 * const x = tf.randomNormal([2, 128, 768]);
 * const y = fusedLayerNorm(x, tf.ones([768]), tf.zeros([768]));
 * const half = fusedLayerNorm(x, null, null, { outputDtype: 'bfloat16' });
 */
export function fusedLayerNorm<X extends FloatTensor, D extends FloatDType | undefined = undefined>(
  x: X,
  gamma?: OptionalTensor,
  beta?: OptionalTensor,
  options: LayerNormOptions<D> = {},
): FloatOutput<X, D> {
  return norm(checkNormCall('fusedLayerNorm', 'layer', { x, gamma, beta }, options));
}

/**
 * Root mean square normalization over the last axis, in one kernel on fused backends:
 * x / sqrt(mean(x²) + epsilon) * (gamma + weightOffset).
 *
 * Arithmetic is float32; see `fusedLayerNorm` for `outputDtype` and gradients.
 *
 * @param x float32 or bfloat16 tensor [..., C] of rank 1 or more.
 * @param gamma [C], float32 or bfloat16; undefined or null for a factor of 1.
 * @param options `epsilon` (1e-6, positive), `weightOffset` (0; Gemma's weights want 1) and
 *   `outputDtype` (that of x).
 * @returns a tensor of x's shape.
 * @throws as `fusedLayerNorm` does; RangeError also if `weightOffset` is not finite.
 * @example
 * const y = fusedRMSNorm(tf.randomNormal([4, 64]), tf.ones([64]), { epsilon: 1e-5 });
 */
export function fusedRMSNorm<X extends FloatTensor, D extends FloatDType | undefined = undefined>(
  x: X,
  gamma?: OptionalTensor,
  options: RMSNormOptions<D> = {},
): FloatOutput<X, D> {
  return norm(checkNormCall('fusedRMSNorm', 'rms', { x, gamma }, options));
}

/** The output alone: the statistics go with the tidy, unless a gradient keeps a clone of them. */
function norm<X extends FloatTensor, D>(call: NormCall): FloatOutput<X, D> {
  return tidy(() => asFloatTensor(runNorm(call)[0]!, call.spec.outputDtype)) as FloatOutput<X, D>;
}
