// SPDX-License-Identifier: Apache-2.0
import type { Tensor } from '@tensorflow/tfjs-core';

/** The parts of the model that this package brings: fused.ts has them from it, plain.ts from tfjs' own ops. */
export interface Kernels {
  readonly name: string;

  /** Layer norm of x [..., C] over its last axis. */
  norm(x: Tensor, gamma: Tensor, beta: Tensor): Tensor;

  /** x + residual, and the layer norm of that. */
  addNorm(
    x: Tensor,
    residual: Tensor,
    gamma: Tensor,
    beta: Tensor,
  ): { output: Tensor; residual: Tensor };

  /**
   * Causal attention with QK-norm: RMS norm of query and key [B, M, H, K] over K, then attention.
   *
   * @returns float32 [B, M, H, K]
   */
  attend(query: Tensor, key: Tensor, value: Tensor, queryGamma: Tensor, keyGamma: Tensor): Tensor;

  /** Runs what computes with these kernels, with what they need in place. */
  within<T>(run: () => T): T;

  dispose(): void;
}
