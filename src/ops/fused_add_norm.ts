// SPDX-License-Identifier: Apache-2.0
import { tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { FloatDType, FloatOutput, FloatTensor } from '../spec/dtype.js';
import type { LayerNormOptions, RMSNormOptions } from '../spec/norm.js';
import { asFloatTensor, checkNormCall, runNorm } from './norm_call.js';
import type { NormCall, OptionalTensor } from './norm_call.js';

/** What the fused-add norms return; the caller disposes both tensors. */
// A type, not an interface: tf.tidy takes only objects that TypeScript can index.
export type AddNormResult<O extends FloatTensor = FloatTensor> = {
  /** The normed sum. */
  output: O;
  /** The sum x + residual itself, float32: the residual of the next block. */
  residual: Tensor;
};

/**
 * Adds `residual` to x and layer-norms the sum over the last axis, in one kernel on fused backends.
 *
 * The sum is float32 whatever the inputs are, and is normed before any rounding. Differentiable in
 * x, residual, gamma and beta, through both results.
 *
 * @param x float32 or bfloat16 tensor [..., C] of rank 1 or more.
 * @param residual float32 or bfloat16 tensor of x's shape.
 * @param gamma [C], float32 or bfloat16; undefined or null for a factor of 1.
 * @param beta [C], float32 or bfloat16; undefined or null for 0.
 * @param options `epsilon` (1e-5, positive) and `outputDtype` (that of x).
 * @returns `output`, the normed sum, and `residual`, the float32 sum; both of x's shape.
 * @throws as `fusedLayerNorm` does; RangeError also if the shapes of x and residual differ.
 * @example
 * let { output, residual } = fusedAddLayerNorm(attended, stream, gamma, beta);
 */
export function fusedAddLayerNorm<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(
  x: X,
  residual: FloatTensor,
  gamma?: OptionalTensor,
  beta?: OptionalTensor,
  options: LayerNormOptions<D> = {},
): AddNormResult<FloatOutput<X, D>> {
  const given = { x, residual, gamma, beta };
  return addNorm(checkNormCall('fusedAddLayerNorm', 'layer', given, options));
}

/**
 * Adds `residual` to x and RMS-norms the sum over the last axis, in one kernel on fused backends.
 *
 * @param x float32 or bfloat16 tensor [..., C] of rank 1 or more.
 * @param residual float32 or bfloat16 tensor of x's shape.
 * @param gamma [C], float32 or bfloat16; undefined or null for a factor of 1.
 * @param options `epsilon` (1e-6, positive), `weightOffset` (0; Gemma's weights want 1) and
 *   `outputDtype` (that of x).
 * @returns `output`, the normed sum, and `residual`, the float32 sum; both of x's shape.
 * @throws as `fusedRMSNorm` does; RangeError also if the shapes of x and residual differ.
 * @example
 * const { output, residual } = fusedAddRMSNorm(attended, stream, gamma, { weightOffset: 1 });
 */
export function fusedAddRMSNorm<
  X extends FloatTensor,
  D extends FloatDType | undefined = undefined,
>(
  x: X,
  residual: FloatTensor,
  gamma?: OptionalTensor,
  options: RMSNormOptions<D> = {},
): AddNormResult<FloatOutput<X, D>> {
  return addNorm(checkNormCall('fusedAddRMSNorm', 'rms', { x, residual, gamma }, options));
}

function addNorm<X extends FloatTensor, D>(call: NormCall): AddNormResult<FloatOutput<X, D>> {
  return tidy(() => {
    const [output, , sum] = runNorm(call);
    return {
      output: asFloatTensor(output!, call.spec.outputDtype) as FloatOutput<X, D>,
      residual: sum!,
    };
  });
}
