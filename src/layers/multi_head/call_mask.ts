// SPDX-License-Identifier: Apache-2.0
/**
 * The one mask of a call of multiHeadAttention, out of all that hides keys: causal and window, packed
 * sequences, padding and an explicit attention mask. The first two cost no memory, and padding is Mk
 * values a batch item. An explicit attention mask is Mq x Mk as it is, and so are masks beside packed sequences.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { AttentionBias } from '../../attn_bias/index.js';
import { PackedSequencesMask } from '../../attn_bias/packed_sequences.js';
import { checkCount, checkSeqlens, checkTotal, seqstarts } from '../../attn_bias/seqlens.js';
import type { AttnBias } from '../../ops/attention_call.js';
import { checkTensor } from '../../ops/arguments.js';
import { describe, rangeError } from '../../spec/errors.js';
import { NO_MASK } from '../../spec/mask.js';
import type { MaskPlan } from '../../spec/mask.js';
import { asBool, withPadding } from '../../layers/key_mask.js';

/** Sizes of a call. */
export interface CallDims {
  batch: number;
  heads: number;
  queries: number;
  keys: number;
}

/** A layer's band in each of several sequences that are packed one after the other. */
class PackedBandMask extends PackedSequencesMask {
  static override readonly className: string = 'multiHeadAttention';
  protected readonly packedPlan: MaskPlan;

  constructor(
    band: AttentionBias | null,
    qSeqlen: readonly number[],
    kvSeqlen: readonly number[],
    { queries, keys }: CallDims,
  ) {
    super(qSeqlen, kvSeqlen);
    const plan = band ? band.plan(queries, keys) : NO_MASK;
    this.packedPlan = this.planWith(plan, seqstarts(this.kvSeqlen).slice(0, -1));
  }

  /** packingOf has checked them. */
  protected checkKeys(): void {}
}

/** Packed sequences of a call, by the lengths of their queries and keys. */
export interface Packing {
  mask: AttentionBias;
  /** The positions of queries and of keys, each in its sequence. */
  positions: { query: number[]; key: number[] };
}

/** The packing that `seqlens` (and `kvSeqlens`, of keys) describe; null if there is none. */
export function packingOf(
  op: string,
  band: AttentionBias | null,
  kwargs: Record<string, unknown>,
  dims: CallDims,
): Packing | null {
  const seqlens = kwargs['seqlens'] as readonly number[] | null | undefined;
  if (seqlens === null || seqlens === undefined) return null;
  if (dims.batch !== 1) {
    throw rangeError({
      op,
      argument: 'query',
      expected: 'of batch size 1 with seqlens, the sequences one after the other',
      got: `batch size ${dims.batch}`,
      mend: 'Concatenate the sequences along axis 1.',
    });
  }
  checkSeqlens(op, 'seqlens', seqlens);
  const kvSeqlens = (kwargs['kvSeqlens'] ?? seqlens) as readonly number[];
  checkSeqlens(op, 'kvSeqlens', kvSeqlens);
  checkCount(op, 'kvSeqlens', kvSeqlens, seqlens.length);
  const sum = (lengths: readonly number[]) => lengths.reduce((total, n) => total + n, 0);
  checkTotal(op, 'query', dims.queries, sum(seqlens), 'the sum of seqlens');
  checkTotal(op, 'key', dims.keys, sum(kvSeqlens), 'the sum of kvSeqlens');
  const mask = new PackedBandMask(band, seqlens, kvSeqlens, dims);
  const counted = (lengths: readonly number[]) =>
    lengths.flatMap((length) => Array.from({ length }, (_, i) => i));
  // The last query of a sequence lines up with its last key, as in the mask.
  const query = seqlens.flatMap((length, block) =>
    Array.from({ length }, (_, i) => i + kvSeqlens[block]! - length),
  );
  return { mask, positions: { query, key: counted(kvSeqlens) } };
}

/** An explicit attention mask in the layout of kernels, bool [1 or B, 1 or H, Mq, Mk]. */
export function attentionMaskOf(op: string, mask: unknown, dims: CallDims): tf.Tensor | null {
  if (mask === null || mask === undefined) return null;
  const { batch, heads, queries, keys } = dims;
  checkTensor(op, 'attentionMask', mask);
  const { shape } = mask;
  const lead = shape.slice(0, -2);
  const [B, H] = lead.length === 1 ? [lead[0]!, 1] : [lead[0] ?? 1, lead[1] ?? 1];
  const isFit =
    mask instanceof tf.Tensor &&
    lead.length <= 2 &&
    shape.length >= 2 &&
    [shape.at(-2), shape.at(-1)].join() === [queries, keys].join() &&
    (B === 1 || B === batch) &&
    (H === 1 || H === heads);
  if (!isFit) {
    throw rangeError({
      op,
      argument: 'attentionMask',
      expected: `a bool tensor [Mq, Mk], [B, Mq, Mk] or [B, H, Mq, Mk], ${describe([batch, heads, queries, keys])} in full`,
      got: `shape ${describe(shape)}`,
      mend: 'true, or 1, means that the query may attend the key.',
    });
  }
  return tf.reshape(asBool(mask), [B, H, queries, keys]);
}

/** What a call hides: `structure` costs no memory; `keys` is bool [B, Mk], `attentionMask` as above. */
export interface Hidden {
  structure: AttentionBias | null;
  keys: tf.Tensor | null;
  attentionMask: tf.Tensor | null;
}

/** All of it as one attnBias. Call it in a tf.tidy. */
export function callMask(hidden: Hidden, { queries, keys }: CallDims): AttnBias {
  const { structure } = hidden;
  const visible = visibleOf(hidden);
  // Kernels take a tensor beside a band, and not beside blocks: those are written out.
  if (!visible || !structure?.packsSequences) return withPadding(structure, visible);
  return tf.logicalAnd(visible, bandOf(structure, queries, keys));
}

/** What the tensors leave visible, bool; null if there are none. */
function visibleOf({ keys, attentionMask }: Hidden): tf.Tensor | null {
  const padding = keys && tf.reshape(keys, [keys.shape[0]!, 1, 1, keys.shape[1]!]);
  return padding && attentionMask
    ? tf.logicalAnd(padding, attentionMask)
    : (padding ?? attentionMask);
}

/** A structure as bool [1, 1, Mq, Mk]. */
function bandOf(structure: AttentionBias, queries: number, keys: number): tf.Tensor {
  return tf.equal(structure.materialize([1, 1, queries, keys]), 0);
}

/** The same over `room` rows of keys, of which only the first ones are in use: bool, the rest hidden. */
export function maskWithRoom(hidden: Hidden, { queries, keys }: CallDims, room: number): tf.Tensor {
  const band = hidden.structure && bandOf(hidden.structure, queries, keys);
  const visible = visibleOf(hidden)!;
  const all = tf.where(band ? tf.logicalAnd(visible, band) : visible, tf.scalar(1), tf.scalar(0));
  const beyond: [number, number] = [0, room - keys];
  return tf.notEqual(tf.pad(all, [[0, 0], [0, 0], [0, 0], beyond]), 0);
}
