// SPDX-License-Identifier: Apache-2.0
import type { MaskBlocks, MaskPages, MaskPlan } from '../spec/mask.js';
import type { Band } from './band.js';
import { AttentionBias } from './base.js';
import { checkCount, checkSeqlens, checkTotal, seqstarts } from './seqlens.js';

/**
 * What the masks of packed sequences have in common: sequence b is one block, its queries follow
 * those of sequence b - 1 in a query tensor of shape [1, sum of qSeqlen, …], and it sees none but
 * its own keys. The subclasses differ in where a sequence's keys lie.
 */
export abstract class PackedSequencesMask extends AttentionBias {
  override readonly packsSequences = true;
  /** Number of queries of each sequence. */
  readonly qSeqlen: readonly number[];
  /** Number of keys in use of each sequence. */
  readonly kvSeqlen: readonly number[];
  /** First query of each sequence, and last the number of queries. */
  protected readonly qStart: readonly number[];
  /** Set once by the subclass, so that kernels may cache what they make of it. */
  protected abstract readonly packedPlan: MaskPlan;

  constructor(qSeqlen: readonly number[], kvSeqlen: readonly number[]) {
    super();
    this.qSeqlen = checkSeqlens(this.className, 'qSeqlen', qSeqlen);
    this.kvSeqlen = checkSeqlens(this.className, 'kvSeqlen', kvSeqlen);
    checkCount(this.className, 'kvSeqlen', this.kvSeqlen, this.qSeqlen.length);
    this.qStart = seqstarts(this.qSeqlen);
  }

  plan(queries: number, keys: number, op = `${this.className}.plan`): MaskPlan {
    const total = this.qStart[this.qSeqlen.length]!;
    const argument = `query with a ${this.className}`;
    checkTotal(op, argument, queries, total, 'the sum of qSeqlen');
    this.checkKeys(op, `key with a ${this.className}`, keys);
    return this.packedPlan;
  }

  /** Throws if the key tensor cannot hold this mask's keys. */
  protected abstract checkKeys(op: string, argument: string, keys: number): void;

  /** The plan with sequence b's keys from row kStart[b] on. */
  protected planWith(band: Band, kStart: readonly number[], pages?: MaskPages): MaskPlan {
    const blocks: MaskBlocks = Object.freeze({
      qStart: this.qStart,
      kStart: Object.freeze([...kStart]),
      kLength: this.kvSeqlen,
    });
    const { windowLeft, windowRight, align } = band;
    return Object.freeze({ windowLeft, windowRight, align, blocks, ...(pages && { pages }) });
  }
}
