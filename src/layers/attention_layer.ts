// SPDX-License-Identifier: Apache-2.0
/** What the attention layers share: the mask, the numbers, their configuration, and the call. */
import type { Tensor, serialization } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';
import {
  LocalAttentionFromBottomRightMask,
  LowerTriangularFromBottomRightLocalAttentionMask,
  LowerTriangularFromBottomRightMask,
} from '../attn_bias/index.js';
import type { AttentionBias } from '../attn_bias/index.js';
import { checkFloatTensor } from '../ops/arguments.js';
import type { AttnBias } from '../ops/attention_call.js';
import { memoryEfficientAttention } from '../ops/memory_efficient_attention.js';
import { checkNumber } from '../spec/attention.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { checkAttentionShapes } from './attention_shapes.js';
import { keyPadding, withPadding } from './key_mask.js';
import { booleanArg, choiceArg } from './layer_args.js';
import type { LayerArgs } from './normalization.js';

export interface AttentionLayerArgs extends LayerArgs {
  /**
   * Whether a query may attend no later key. The last query lines up with the last key, so that new
   * queries may follow a cache of older keys; where there are as many queries as keys, query i may
   * attend the keys 0 to i. false.
   */
  causal?: boolean | null | undefined;
  /**
   * How many keys a query may attend: causal, its own and the `windowSize - 1` before it; else also
   * the `windowSize - 1` after it. No limit.
   */
  windowSize?: number | null | undefined;
  /** Factor of the scores. 1 / sqrt(K). */
  scale?: number | null | undefined;
  /** Dropout probability of the attention weights, when training. 0. */
  dropout?: number | null | undefined;
  /** Makes the dropout masks of a layer the same in each run: call n draws from seed + n. */
  seed?: number | null | undefined;
  /** Scores become softcap * tanh(score / softcap) before the mask. Off. */
  softcap?: number | null | undefined;
  /**
   * What is kept of query, key and value for the gradient, as in memoryEfficientAttention: 'bfloat16' halves
   * it and computes the forward pass a second time. 'float32'.
   */
  saveDtype?: FloatDType | null | undefined;
}

export const ATTENTION_LAYER_ARGS: readonly (keyof AttentionLayerArgs)[] = [
  'causal',
  'windowSize',
  'scale',
  'dropout',
  'seed',
  'softcap',
  'saveDtype',
];

/** query, key and value of one call. */
export type Operands = readonly [query: FloatTensor, key: FloatTensor, value: FloatTensor];

export abstract class AttentionLayer extends layers.Layer {
  readonly causal: boolean;
  readonly windowSize: number | undefined;
  readonly scale: number | undefined;
  readonly dropout: number;
  readonly seed: number | undefined;
  readonly softcap: number | undefined;
  readonly saveDtype: FloatDType;
  /** What causal and windowSize hide; null for nothing. */
  protected readonly band: AttentionBias | null;
  private draws = 0;

  /** `op` is the factory's name, for messages. */
  constructor(
    protected readonly op: string,
    args: AttentionLayerArgs,
  ) {
    super(args);
    this.causal = booleanArg(op, 'causal', args.causal, false);
    this.windowSize = numberArg(op, args, 'windowSize', isCount, 'a whole number above 0');
    this.scale = numberArg(op, args, 'scale', isScale, 'a finite number');
    this.dropout = numberArg(op, args, 'dropout', isProbability, 'at least 0 and below 1') ?? 0;
    this.seed = numberArg(op, args, 'seed', isSeed, 'a whole number of 32 bits');
    this.softcap = numberArg(op, args, 'softcap', isCap, 'finite and above 0');
    const dtypes = ['float32', 'bfloat16'] as const;
    this.saveDtype = choiceArg(op, 'saveDtype', args.saveDtype, dtypes, 'float32');
    this.band = maskOf(this.causal, this.windowSize);
    this.supportsMasking = true;
  }

  override build(inputShape: Shape | Shape[]): void {
    checkAttentionShapes(this.op, inputShape);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [query, , value] = checkAttentionShapes(this.op, inputShape);
    return [...query.slice(0, 3), value[3]!];
  }

  /** The mask of the query: the output has its steps. */
  override computeMask(_inputs: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor {
    // tfjs takes a missing mask, and declares none.
    return (Array.isArray(mask) ? mask[0] : mask) as Tensor;
  }

  override getConfig(): serialization.ConfigDict {
    return {
      ...super.getConfig(),
      causal: this.causal,
      windowSize: this.windowSize ?? null,
      scale: this.scale ?? null,
      dropout: this.dropout,
      seed: this.seed ?? null,
      softcap: this.softcap ?? null,
      saveDtype: this.saveDtype,
    };
  }

  /** The inputs of a call, checked. */
  protected operands(inputs: Tensor | Tensor[]): Operands {
    const given = Array.isArray(inputs) ? inputs : [inputs];
    checkAttentionShapes(
      this.op,
      given.map((x) => x.shape),
    );
    const [query, key, value] = given as [unknown, unknown, unknown];
    checkFloatTensor(this.op, 'query', query);
    checkFloatTensor(this.op, 'key', key);
    checkFloatTensor(this.op, 'value', value);
    return [query, key, value];
  }

  /** Which keys of a call are padding; call it in a tf.tidy, before anything else is computed. */
  protected padding(operands: Operands, kwargs: Record<string, unknown>): Tensor | null {
    return keyPadding(operands, kwargs, this.op);
  }

  /** float32 [B, Mq, H, V], by this layer's band and the padding. */
  protected attend(
    operands: Operands,
    padding: Tensor | null,
    kwargs: Record<string, unknown>,
  ): Tensor {
    return this.attendBy(operands, withPadding(this.band, padding), kwargs);
  }

  /** float32 [B, Mq, H, V], by a mask that holds all there is to hide. */
  protected attendBy(
    [query, key, value]: Operands,
    mask: AttnBias,
    kwargs: Record<string, unknown>,
  ): Tensor {
    const p = kwargs['training'] === true ? this.dropout : 0;
    const output = memoryEfficientAttention(query, key, value, mask, {
      scale: this.scale,
      softcap: this.softcap,
      p,
      seed: p > 0 ? this.nextSeed() : undefined,
      outputDtype: 'float32',
      saveDtype: this.saveDtype,
    });
    return output as Tensor;
  }

  private nextSeed(): number | undefined {
    return this.seed === undefined ? undefined : (this.seed + this.draws++) >>> 0;
  }
}

function maskOf(causal: boolean, windowSize: number | undefined): AttentionBias | null {
  if (windowSize === undefined) return causal ? new LowerTriangularFromBottomRightMask() : null;
  if (causal) return new LowerTriangularFromBottomRightLocalAttentionMask(windowSize);
  const side = windowSize - 1;
  return new LocalAttentionFromBottomRightMask({ windowLeft: side, windowRight: side });
}

type NumberArgs = 'windowSize' | 'scale' | 'dropout' | 'seed' | 'softcap';

function numberArg(
  op: string,
  args: AttentionLayerArgs,
  name: NumberArgs,
  test: (value: number) => boolean,
  expected: string,
): number | undefined {
  const value = args[name] ?? undefined;
  if (value !== undefined) checkNumber(op, name, value, test, expected, MENDS[name]);
  return value;
}

const MENDS: Record<NumberArgs, string> = {
  windowSize: 'It is the number of keys that a query may attend: 1 means only its own.',
  scale: 'Leave it out to get 1 / sqrt(K).',
  dropout: 'Leave it out for none; it acts only when training.',
  seed: 'Leave it out to have one drawn for each call.',
  softcap: 'Leave it out for no cap.',
};

const isCount = (x: number) => Number.isInteger(x) && x > 0;
const isProbability = (x: number) => x >= 0 && x < 1;
const isSeed = (x: number) => Number.isInteger(x) && x >= -(2 ** 31) && x < 2 ** 32;
/** As the kernels see it, in float32. */
const isScale = (x: number) => Number.isFinite(Math.fround(x));
const isCap = (x: number) => isScale(x) && Math.fround(x) > 0;
