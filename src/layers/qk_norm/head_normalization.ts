// SPDX-License-Identifier: Apache-2.0
/**
 * The built-in norm of queries or of keys [B, M, H, K], with the cast that follows it.
 *
 * Over the last axis of x, where R is one head [K], or with perHead false all heads [H*K]:
 *
 *     layer   (x - mean) / sqrt(var + epsilon) * gamma + beta
 *     rms     x / sqrt(mean(x²) + epsilon) * (gamma + weightOffset)
 *     l2      x / sqrt(sum(x²) + epsilon²) * gamma
 *
 * One kernel computes in float32 and writes bfloat16, so that each value is rounded once. l2 is the
 * rms norm with epsilon² / |R| and a gamma that holds the factor 1 / sqrt(|R|). Only where heads have
 * weights of their own is the affine part a product and a sum of float32 tensors after the kernel.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, serialization } from '@tensorflow/tfjs-core';
import { initializers, layers } from '@tensorflow/tfjs-layers';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';
import { isBFloat16 } from '../../bf16/bfloat16_tensor.js';
import { toBFloat16, toFloat32 } from '../../ops/bfloat16.js';
import { fusedLayerNorm, fusedRMSNorm } from '../../ops/fused_norm.js';
import type { FloatDType, FloatTensor } from '../../spec/dtype.js';
import type { QKNormRules } from './rules.js';

export class HeadNormalization extends layers.Layer {
  /** @nocollapse */
  static className = 'QKHeadNormalization';
  private gamma: LayerVariable | undefined;
  private beta: LayerVariable | undefined;

  constructor(private readonly rules: QKNormRules) {
    super({});
  }

  override build(inputShape: Shape | Shape[]): void {
    const [, , heads, dim] = inputShape as [number, number, number, number];
    const { perHead, sharedAcrossHeads, useGamma, useBeta, weightOffset } = this.rules;
    const whole = sharedAcrossHeads ? [dim] : [heads, dim];
    const shape = perHead ? whole : [heads * dim];
    if (useGamma) {
      // A gamma that 1 is added to starts at 0, any other at 1.
      const initializer = weightOffset === 1 ? initializers.zeros() : initializers.ones();
      this.gamma = this.addWeight('gamma', shape, 'float32', initializer);
    }
    if (useBeta) this.beta = this.addWeight('beta', shape, 'float32', initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => this.normTo(x, 'float32') as Tensor);
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), ...this.rules };
  }

  /** The normed x in `dtype`. Call it in a tf.tidy. */
  normTo(x: FloatTensor, dtype: FloatDType): FloatTensor {
    const { norm, perHead, sharedAcrossHeads } = this.rules;
    if (norm === 'none') return castTo(x, dtype);
    const [batch, length, heads, dim] = x.shape as [number, number, number, number];
    if (!perHead) {
      const rows = reshapeTo(x, [batch, length, heads * dim]);
      const { gamma, beta } = this.weightsFor(heads * dim);
      return reshapeTo(this.fused(rows, gamma, beta, dtype), x.shape);
    }
    const { gamma, beta } = this.weightsFor(dim);
    if (sharedAcrossHeads) return this.fused(x, gamma, beta, dtype);
    const normed = this.fused(x, null, null, 'float32') as Tensor;
    const scaled = gamma ? tf.mul(normed, tf.add(gamma, this.rules.weightOffset)) : normed;
    return castTo(beta ? tf.add(scaled, beta) : scaled, dtype);
  }

  private fused(
    x: FloatTensor,
    gamma: Tensor | null,
    beta: Tensor | null,
    outputDtype: FloatDType,
  ): FloatTensor {
    const { norm, epsilon, weightOffset } = this.rules;
    if (norm === 'layer') return fusedLayerNorm(x, gamma, beta, { epsilon, outputDtype });
    const width = x.shape[x.rank - 1]!;
    const added = norm === 'l2' ? (epsilon * epsilon) / width : epsilon;
    return fusedRMSNorm(x, gamma, { epsilon: added, weightOffset, outputDtype });
  }

  /** gamma with the factor that makes an l2 norm of rows of `width`, and beta. */
  private weightsFor(width: number): { gamma: Tensor | null; beta: Tensor | null } {
    const gamma = this.gamma ? this.rounded(this.gamma.read()) : null;
    const beta = this.beta ? this.rounded(this.beta.read()) : null;
    if (this.rules.norm !== 'l2') return { gamma, beta };
    const factor = 1 / Math.sqrt(width);
    return { gamma: gamma ? tf.mul(gamma, factor) : tf.fill([width], factor), beta };
  }

  /** A weight, with castStrategy 'weights' of bfloat16 precision; its gradient passes through. */
  private rounded(weight: Tensor): Tensor {
    const { castStrategy, castTo } = this.rules;
    const isRounded = castStrategy === 'weights' && castTo === 'bfloat16';
    return isRounded ? toFloat32(toBFloat16(weight)) : weight;
  }
}

/** x in `dtype`, the same values or rounded ones. */
export function castTo(x: FloatTensor, dtype: FloatDType): FloatTensor {
  return dtype === 'bfloat16' ? toBFloat16(x) : toFloat32(x);
}

/** tf.reshape for either dtype. */
export function reshapeTo<X extends FloatTensor>(x: X, shape: number[]): X {
  return (isBFloat16(x) ? x.reshape(shape) : tf.reshape(x as Tensor, shape)) as X;
}
