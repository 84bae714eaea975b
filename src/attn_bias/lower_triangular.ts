// SPDX-License-Identifier: Apache-2.0
import { add, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { checkFloat32Tensor } from '../ops/arguments.js';
import { describe, rangeError } from '../spec/errors.js';
import type { MaskPlan } from '../spec/mask.js';
import { CAUSAL, CAUSAL_FROM_BOTTOM_RIGHT } from './band.js';
import { AttentionBias } from './base.js';
import { LowerTriangularFromBottomRightLocalAttentionMask } from './local.js';

/**
 * Causal: query i may attend key j iff `j <= i`. The diagonal starts at the top left corner, also
 * when there are more keys than queries or fewer.
 *
 *     3 queries, 5 keys
 *     1 0 0 0 0
 *     1 1 0 0 0
 *     1 1 1 0 0
 *
 * @example
 * memoryEfficientAttention(q, k, v, new attnBias.LowerTriangularMask());
 */
export class LowerTriangularMask extends AttentionBias {
  static override readonly className: string = 'LowerTriangularMask';

  plan(): MaskPlan {
    return CAUSAL;
  }

  /**
   * This mask with a tensor added to the scores.
   *
   * @param bias float32, broadcastable to [B, H, Mq, Mk].
   * @throws TypeError if `bias` is no float32 tensor.
   * @example
   * const mask = new attnBias.LowerTriangularMask().addBias(alibi);
   */
  addBias(bias: Tensor): LowerTriangularMaskWithTensorBias {
    return new LowerTriangularMaskWithTensorBias(bias);
  }
}

/**
 * Causal with a tensor: query i may attend key j iff `j <= i`, and `bias` is added to the scaled
 * score. The mask does not own the tensor: keep it alive as long as the mask is in use.
 *
 *     0/1 picture of the mask, 3 queries, 3 keys
 *     1 0 0
 *     1 1 0
 *     1 1 1
 *
 * @example
 * const bias = tf.zeros([1, heads, length, length]);
 * memoryEfficientAttention(q, k, v, new attnBias.LowerTriangularMaskWithTensorBias(bias));
 */
export class LowerTriangularMaskWithTensorBias extends LowerTriangularMask {
  static override readonly className: string = 'LowerTriangularMaskWithTensorBias';
  override readonly bias: Tensor;

  /**
   * @param bias float32, broadcastable to [B, H, Mq, Mk]; may hold -Infinity; differentiable.
   * @throws TypeError if `bias` is no float32 tensor.
   */
  constructor(bias: Tensor) {
    super();
    checkFloat32Tensor(this.className, 'bias', bias);
    this.bias = bias;
  }

  /**
   * This mask with the sum of both tensors; the sum is a new tensor of the caller's.
   * @throws TypeError if `bias` is no float32 tensor; RangeError if the two do not broadcast.
   */
  override addBias(bias: Tensor): LowerTriangularMaskWithTensorBias {
    checkFloat32Tensor(this.className, 'bias', bias);
    const [own, other] = [this.bias.shape, bias.shape].map((shape) => [...shape].reverse());
    if (own!.some((n, axis) => n !== 1 && (other![axis] ?? 1) !== 1 && n !== other![axis])) {
      throw rangeError({
        op: this.className,
        argument: 'bias',
        expected: `broadcastable with the bias of shape ${describe(this.bias.shape)}`,
        got: `shape ${describe(bias.shape)}`,
        mend: 'Both are broadcastable to [B, H, Mq, Mk].',
      });
    }
    return new LowerTriangularMaskWithTensorBias(add(this.bias, bias));
  }

  /** As in AttentionBias, plus the bias; `shape` must be one that the bias broadcasts to. */
  override materialize(shape: number[]): Tensor {
    return tidy(() => {
      const mask = super.materialize(shape);
      this.checkBroadcast(shape);
      return add(mask, this.bias);
    });
  }

  private checkBroadcast(shape: number[]): void {
    const { shape: own, rank } = this.bias;
    const offset = shape.length - rank;
    if (offset < 0 || own.some((n, axis) => n !== 1 && n !== shape[offset + axis])) {
      throw rangeError({
        op: `${this.className}.materialize`,
        argument: 'shape',
        expected: `one that the bias of shape ${describe(own)} broadcasts to`,
        got: describe(shape),
        mend: 'Pass [batch, heads, queries, keys] as the bias has them.',
      });
    }
  }
}

/**
 * Causal, aligned to the last query and key: with `s = Mk - Mq`, query i may attend key j iff
 * `j <= i + s`. This is the mask for new queries after a cache of older keys. With more queries than
 * keys the first queries see nothing: their output is 0.
 *
 *     3 queries, 5 keys
 *     1 1 1 0 0
 *     1 1 1 1 0
 *     1 1 1 1 1
 *
 * @example
 * memoryEfficientAttention(newQ, allK, allV, new attnBias.LowerTriangularFromBottomRightMask());
 */
export class LowerTriangularFromBottomRightMask extends AttentionBias {
  static override readonly className: string = 'LowerTriangularFromBottomRightMask';

  plan(): MaskPlan {
    return CAUSAL_FROM_BOTTOM_RIGHT;
  }

  /**
   * This mask with a sliding window.
   *
   * @param windowSize number of keys that a query may attend, its own included.
   * @throws RangeError if `windowSize` is no whole number above 0.
   * @example
   * const mask = new attnBias.LowerTriangularFromBottomRightMask().makeLocalAttention(1024);
   */
  makeLocalAttention(windowSize: number): LowerTriangularFromBottomRightLocalAttentionMask {
    return new LowerTriangularFromBottomRightLocalAttentionMask(windowSize);
  }
}
