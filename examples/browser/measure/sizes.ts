// SPDX-License-Identifier: Apache-2.0
/** What is measured, and how far: the same heads everywhere, lengths and times by what computes. */
import { info } from '../../../src/index.js';
import { grouped } from '../page/words.js';

export type OpName = 'attention' | 'norm';

export const HEADS = 8;

export interface Sizes {
  heads: number;
  headDim: number;
  /** Channels of the layer norm. */
  channels: number;
  /** Tokens of attention, or rows of the norm; each twice the one before. */
  lengths: number[];
  /** The longest call that is begun, in milliseconds. */
  longestCall: number;
}

/** "1,024 tokens", or rows of a norm. */
export function lengthWords(op: OpName, length: number): string {
  return `${grouped(length)} ${op === 'norm' ? 'rows' : 'tokens'}`;
}

function doublings(first: number, last: number): number[] {
  return Array.from({ length: Math.log2(last / first) + 1 }, (_, i) => first * 2 ** i);
}

/** @param seconds the longest call that is begun; null for what suits this device */
export function sizesHere(seconds: number | null): Sizes {
  const { webgpu, backend } = info();
  const isSlow = backend !== 'webgl' && webgpu?.softwareAdapter !== false;
  return {
    heads: HEADS,
    headDim: isSlow ? 16 : 64,
    channels: isSlow ? 128 : 512,
    lengths: doublings(isSlow ? 64 : 256, 16384),
    longestCall: 1000 * (seconds ?? (isSlow ? 1.5 : 2)),
  };
}
