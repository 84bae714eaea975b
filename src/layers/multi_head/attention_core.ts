// SPDX-License-Identifier: Apache-2.0
/**
 * The part of multiHeadAttention between its projections: qkNormAttention, with the masks of a call, packed
 * sequences and the cache. All checks of a call come before anything is projected.
 */
import { notEqual, slice } from '@tensorflow/tfjs-core';
import type { Tensor, serialization } from '@tensorflow/tfjs-core';
import { rangeError } from '../../spec/errors.js';
import { ATTENTION_LAYER_ARGS } from '../../layers/attention_layer.js';
import { QKNormAttention } from '../../layers/qk_norm_attention.js';
import { operandPositions } from '../../layers/rotary_positions.js';
import type { Lengths, OperandPositions, OperandTables } from '../../layers/rotary_positions.js';
import { reshapeTo } from '../../layers/qk_norm/head_normalization.js';
import { NORM_ARGS } from './args.js';
import type { CachePart, NewRows } from './cache_part.js';
import { cachedCall } from './cached_attention.js';
import { attentionMaskOf, callMask, packingOf } from './call_mask.js';
import type { CallDims, Packing } from './call_mask.js';
import type { Triple } from './shapes.js';
import { hideSteps, stepMasks } from './step_masks.js';
import type { StepMasks } from './step_masks.js';

/** One call of the layer, its inputs checked. */
export interface HeadCall {
  /** Each [B, M, C]. */
  inputs: Triple<Tensor>;
  /** The inputs in heads, [B, M, H, K]; called once or, with what it would give cached, not at all. */
  project: Triple<() => Tensor>;
  heads: number;
  cache: CachePart | null;
}

type Kwargs = Record<string, unknown>;

export class AttentionCore extends QKNormAttention {
  /** float32 [B, Mq, H, V]. Call it in a tf.tidy. */
  attendHeads(call: HeadCall, kwargs: Kwargs): Tensor {
    const { query, value, key } = call.inputs;
    const masks = (): StepMasks => stepMasks(this.op, call.inputs, kwargs);
    if (!call.cache) return this.attendAll(call, masks, kwargs);
    this.checkCacheable(kwargs);
    const isSelf = query === value && query === key;
    return isSelf
      ? this.attendSteps(call, call.cache, masks, kwargs)
      : this.attendHeld(call, call.cache, masks, kwargs);
  }

  private attendAll(call: HeadCall, masksOf: () => StepMasks, kwargs: Kwargs): Tensor {
    const dims = dimsOf(call, call.inputs.key.shape[1]!);
    const packing = packingOf(this.op, this.band, kwargs, dims);
    const positions = this.positionsOf(kwargs, dims, packing);
    const attentionMask = attentionMaskOf(this.op, kwargs['attentionMask'], dims);
    const masks = masksOf();
    const tables = this.tablesFor(positions, dims);
    const operands = [
      this.prepareQuery(call.project.query(), tables?.query, kwargs),
      this.prepareKey(call.project.key(), tables?.key, kwargs),
      this.prepareValue(call.project.value()),
    ] as const;
    const structure = packing?.mask ?? this.band;
    const mask = callMask({ structure, keys: masks.keys, attentionMask }, dims);
    return hideSteps(this.attendBy(operands, mask, kwargs), masks.query);
  }

  /** Self-attention of new steps over those in the cache and themselves. */
  private attendSteps(
    call: HeadCall,
    part: CachePart,
    masksOf: () => StepMasks,
    kwargs: Kwargs,
  ): Tensor {
    const steps = call.inputs.query.shape[1]!;
    if (!this.causal) {
      const mend = 'Without it earlier steps would attend later ones, which are not there yet.';
      throw this.rejectCache('left out, or causal true', 'a cache for causal false', mend);
    }
    if (steps === 0) {
      throw this.rejectCache('left out for no steps', 'one', 'Call it with one step or more.');
    }
    part.checkRoom(this.op, steps);
    const dims = dimsOf(call, part.length + steps);
    const lengths = { batch: dims.batch, queries: steps, keys: steps };
    const positions = this.positionsOf(kwargs, lengths, null, part.length);
    const attentionMask = attentionMaskOf(this.op, kwargs['attentionMask'], dims);
    const masks = masksOf();
    const tables = this.tablesFor(positions, lengths);
    const query = this.prepareQuery(call.project.query(), tables?.query, kwargs);
    const added = this.newRows(call, masks, tables, kwargs);
    const isFirst = part.length === 0;
    const rows = part.append(added, this.windowSize);
    const band = { band: this.band!, windowSize: this.windowSize };
    const { operands, mask } = isFirst
      ? {
          operands: [query, added.key, added.value] as const,
          mask: callMask({ structure: this.band, keys: masks.keys, attentionMask }, dims),
        }
      : cachedCall(query, rows, band, attentionMask && lastColumns(attentionMask, rows.used));
    const output = this.attendBy(operands, mask, kwargs);
    return hideSteps(
      reshapeTo(output, [...query.shape.slice(0, 3), output.shape[3]!]),
      masks.query,
    );
  }

  /** Cross-attention over keys and values that the first call with a cache has put there. */
  private attendHeld(
    call: HeadCall,
    part: CachePart,
    masksOf: () => StepMasks,
    kwargs: Kwargs,
  ): Tensor {
    if (this.band || this.rope) {
      const mend = 'For self-attention pass the query alone.';
      const expected = 'left out in cross-attention with causal, windowSize or rope';
      throw this.rejectCache(expected, 'one', mend);
    }
    const { inputs } = call;
    const keys = inputs.key.shape[1]!;
    if (part.current && part.current.used !== keys) {
      const mend = 'reset() it when the value input changes: its keys are projected once.';
      throw this.rejectCache(`of ${keys} keys`, `one of ${part.current.used}`, mend);
    }
    const dims = dimsOf(call, keys);
    const attentionMask = attentionMaskOf(this.op, kwargs['attentionMask'], dims);
    const masks = masksOf();
    const rows = part.current ?? part.hold(this.newRows(call, masks, null, kwargs));
    const query = this.prepareQuery(call.project.query(), undefined, kwargs);
    const real = rows.real && notEqual(rows.real, 0);
    const mask = callMask({ structure: null, keys: real, attentionMask }, dims);
    return hideSteps(this.attendBy([query, rows.key, rows.value], mask, kwargs), masks.query);
  }

  private newRows(
    call: HeadCall,
    masks: StepMasks,
    tables: OperandTables | null,
    kwargs: Kwargs,
  ): NewRows {
    return {
      key: this.prepareKey(call.project.key(), tables?.key, kwargs),
      value: this.prepareValue(call.project.value()),
      mask: masks.keys,
    };
  }

  /** Where the rows stand; null without rotary embedding. */
  private positionsOf(
    kwargs: Kwargs,
    lengths: Lengths,
    packing: Packing | null,
    start = 0,
  ): OperandPositions | null {
    if (!this.rope) return null;
    const given = kwargs['positions'] ?? packing?.positions;
    return operandPositions(this.op, given, lengths, start);
  }

  private checkCacheable(kwargs: Kwargs): void {
    if (kwargs['training'] === true) {
      const mend = 'Train on whole sequences: no gradient passes through a cache.';
      throw this.rejectCache('left out when training', 'one', mend);
    }
    if (kwargs['seqlens'] !== undefined && kwargs['seqlens'] !== null) {
      throw this.rejectCache('left out with seqlens', 'one', 'Make one of a larger batch size.');
    }
  }

  private rejectCache(expected: string, got: string, mend: string): RangeError {
    return rangeError({ op: this.op, argument: 'cache', expected, got, mend });
  }

  /** The arguments of multiHeadAttention that this part has. */
  argsConfig(): serialization.ConfigDict {
    const config = this.getConfig();
    const pick = (names: readonly string[]) =>
      Object.fromEntries(names.map((name) => [name, config[name]])) as serialization.ConfigDict;
    const isNormed = config['norm'] !== 'none' || config['qNorm'] || config['kNorm'];
    return {
      ...pick([...ATTENTION_LAYER_ARGS, 'rope', 'castTo', 'castStrategy']),
      qkNorm: isNormed ? pick(NORM_ARGS) : null,
    };
  }
}

/** Of a mask over all steps so far, the part for those that the cache still has. */
function lastColumns(mask: Tensor, count: number): Tensor {
  const dropped = mask.shape[3]! - count;
  return dropped === 0 ? mask : slice(mask, [0, 0, 0, dropped]);
}

function dimsOf({ inputs, heads }: HeadCall, keys: number): CallDims {
  const [batch, queries] = inputs.query.shape as [number, number];
  return { batch, heads, queries, keys };
}
