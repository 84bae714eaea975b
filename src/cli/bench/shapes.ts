// SPDX-License-Identifier: Apache-2.0
/** The attention shapes of the benchmark: those of a small transformer. */
import { transpose } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

export const HEADS = 8;
export const HEAD_DIM = 64;
/** With 2,048 tokens plain tfjs holds 134 MB for each array of scores, which is what a WebGPU buffer may have. */
export const LENGTHS: readonly number[] = [64, 128, 256, 512, 1024, 2048];

/** [B, M, H, K] */
export function tokensOf(tokens: number): [number, number, number, number] {
  return [1, tokens, HEADS, HEAD_DIM];
}

/** [B, M, H, K] to [B, H, M, K] and back; vectors as they are. */
export function headsFirst(x: Tensor): Tensor {
  return x.rank === 4 ? transpose(x, [0, 2, 1, 3]) : x;
}
