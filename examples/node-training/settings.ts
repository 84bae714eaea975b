// SPDX-License-Identifier: Apache-2.0
/** What decides how training goes. A checkpoint keeps all of it; a run that goes on cannot change it. */
import type { TokenKind } from './tokens/tokenizer.js';

/** How query, key and value become bfloat16 before the attention, if they do: docs/qk_norm.md. */
export const STRATEGIES = ['float32', 'cast-output', 'cast-weights'] as const;
export type Strategy = (typeof STRATEGIES)[number];

export interface Settings {
  tokens: TokenKind;
  vocabulary: number;
  strategy: Strategy;
  context: number;
  width: number;
  heads: number;
  kvHeads: number;
  blocks: number;
  batch: number;
  accumulate: number;
  steps: number;
  learningRate: number;
  warmUp: number;
  weightDecay: number;
  clip: number;
  heldOut: number;
  seed: number;
}

/** What a run may do differently each time. */
export interface RunOptions {
  out: string;
  resume: boolean;
  stopAfter: number;
  evaluateEvery: number;
  saveEvery: number;
  keep: number;
  sample: number;
  temperature: number;
  topK: number;
  prompt: string;
}
