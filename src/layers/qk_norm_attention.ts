// SPDX-License-Identifier: Apache-2.0
import { serialization, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';
import { toFloat32 } from '../ops/bfloat16.js';
import { rotate } from '../ops/rotary_embedding.js';
import type { RotaryTables } from '../ops/rotary_tables.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { describe, rangeError } from '../spec/errors.js';
import { rotaryDim } from '../spec/rotary.js';
import type { RotaryRules } from '../spec/rotary.js';
import { ATTENTION_LAYER_ARGS, AttentionLayer } from './attention_layer.js';
import type { AttentionLayerArgs } from './attention_layer.js';
import { checkAttentionShapes } from './attention_shapes.js';
import { checkArgs } from './layer_args.js';
import { buildAs, layerConfig, ownConfig, resolveLayer } from './nested_layer.js';
import type { Layer, LayerIdentifier } from './nested_layer.js';
import { HeadNormalization, castTo, reshapeTo } from './qk_norm/head_normalization.js';
import { QK_NORM_ARGS, qkNormRules } from './qk_norm/rules.js';
import type { QKNormArgs, QKNormRules } from './qk_norm/rules.js';
import { operandPositions, operandTables, ropeConfig, ropeRules } from './rotary_positions.js';
import type { Lengths, OperandPositions, OperandTables, RopeArg } from './rotary_positions.js';

export interface QKNormAttentionArgs extends AttentionLayerArgs, QKNormArgs {
  /**
   * A layer that norms the queries instead of the built-in norm: any layer of tf.layers or of your
   * own that keeps the shape [B, M, H, K], or with `perHead` false [B, M, H*K].
   */
  qNorm?: LayerIdentifier | null | undefined;
  /** The same for the keys; another layer than `qNorm`. */
  kNorm?: LayerIdentifier | null | undefined;
  /**
   * Rotary position embedding of the normed queries and keys: true, or `base`, `dim`, `interleaved` and
   * `scaling` as in `rotaryEmbedding`. None.
   */
  rope?: RopeArg;
}

const OP = 'qkNormAttention';
const KNOWN = ['qNorm', 'kNorm', 'rope', ...QK_NORM_ARGS, ...ATTENTION_LAYER_ARGS];

/** The layer that `qkNormAttention` makes. */
export class QKNormAttention extends AttentionLayer {
  /** @nocollapse */
  static className = 'QKNormAttention';
  readonly qNorm: Layer;
  readonly kNorm: Layer;
  readonly rope: RotaryRules | null;
  private readonly rules: QKNormRules;
  private headShapes: readonly [query: Shape, key: Shape] = [[], []];

  /** `op` is the name in messages, of the factory or of the layer that this one is a part of. */
  constructor(args: QKNormAttentionArgs = {}, op = OP) {
    if (new.target === QKNormAttention) checkArgs(op, args, KNOWN);
    super(op, args);
    this.rules = qkNormRules(op, args);
    this.rope = ropeRules(op, args.rope);
    this.qNorm = this.normLayer('qNorm', args.qNorm);
    this.kNorm = this.normLayer('kNorm', args.kNorm);
    if (this.qNorm === this.kNorm) {
      const mend = 'Make a layer for each: they have weights of their own.';
      throw this.reject('kNorm', 'another layer than qNorm', 'the same one', mend);
    }
  }

  /** @nocollapse */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(ownConfig(config));
  }

  override build(inputShape: Shape | Shape[]): void {
    const [query, key] = checkAttentionShapes(this.op, inputShape);
    for (const [argument, shape] of [['query', query] as const, ['key', key] as const]) {
      if (shape[2] === null || shape[3] === null) {
        const mend = 'Give the input layer a full shape; only batch and length may be null.';
        throw this.reject(
          argument,
          'of known heads and head dim',
          `shape ${describe(shape)}`,
          mend,
        );
      }
    }
    for (const shape of this.rope ? [query, key] : []) {
      rotaryDim(this.op, 'rope.', this.rope!, shape[3]!);
    }
    this.buildNorm(this.qNorm, 'q_norm', query);
    this.buildNorm(this.kNorm, 'k_norm', key);
    this.headShapes = [query.slice(2), key.slice(2)];
    super.build(inputShape);
  }

  override call(inputs: Tensor | Tensor[], kwargs: Record<string, unknown>): Tensor {
    return tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const operands = this.operands(inputs);
      this.checkHeads('query', operands[0], this.headShapes[0]);
      this.checkHeads('key', operands[1], this.headShapes[1]);
      const [query, key, value] = operands;
      const [batch, queries] = query.shape as [number, number];
      const lengths = { batch, queries, keys: key.shape[1]! };
      const positions = this.rope && operandPositions(this.op, kwargs['positions'], lengths);
      const padding = this.padding(operands, kwargs);
      const tables = this.tablesFor(positions, lengths);
      const prepared = [
        this.prepareQuery(query, tables?.query, kwargs),
        this.prepareKey(key, tables?.key, kwargs),
        this.prepareValue(value),
      ] as const;
      return this.attend(prepared, padding, kwargs);
    });
  }

  /** The queries normed, in the dtype `castTo`; not rotated. The caller owns the result. */
  normQuery(query: FloatTensor): FloatTensor {
    return tidy(() => this.prepareQuery(query, undefined, {}));
  }

  /** What turns the rows of a call to their positions, if there are any. Call it in a tf.tidy. @internal */
  tablesFor(positions: OperandPositions | null, lengths: Lengths): OperandTables | null {
    const width = this.headShapes[0][1]!;
    return positions && operandTables(this.rope!, width, positions, lengths);
  }

  /**
   * The queries as the attention gets them: normed, turned to their positions by tables if there are any,
   * cast. Call it in a tf.tidy.
   * @internal
   */
  prepareQuery(
    query: FloatTensor,
    tables: RotaryTables | undefined,
    kwargs: Record<string, unknown>,
  ): FloatTensor {
    return this.prepared(this.qNorm, query, tables, kwargs);
  }

  /** The same of keys. @internal */
  prepareKey(
    key: FloatTensor,
    tables: RotaryTables | undefined,
    kwargs: Record<string, unknown>,
  ): FloatTensor {
    return this.prepared(this.kNorm, key, tables, kwargs);
  }

  /** Values are cast only. @internal */
  prepareValue(value: FloatTensor): FloatTensor {
    return castTo(value, this.rules.castTo);
  }

  override get trainable(): boolean {
    return super.trainable;
  }
  override set trainable(trainable: boolean) {
    super.trainable = trainable;
    for (const layer of this.norms()) layer.trainable = trainable;
  }

  override get trainableWeights(): LayerVariable[] {
    return this.trainable ? this.norms().flatMap((layer) => layer.trainableWeights) : [];
  }

  override get nonTrainableWeights(): LayerVariable[] {
    return this.norms().flatMap((layer) =>
      this.trainable ? layer.nonTrainableWeights : layer.weights,
    );
  }

  override get losses(): Layer['losses'] {
    return [...super.losses, ...this.norms().flatMap((layer) => layer.losses)];
  }

  override setFastWeightInitDuringBuild(value: boolean): void {
    super.setFastWeightInitDuringBuild(value);
    for (const layer of this.norms()) layer.setFastWeightInitDuringBuild(value);
  }

  override getConfig(): serialization.ConfigDict {
    const wrapped = (layer: Layer) =>
      layer instanceof HeadNormalization ? null : layerConfig(layer);
    return {
      ...super.getConfig(),
      ...this.rules,
      qNorm: wrapped(this.qNorm),
      kNorm: wrapped(this.kNorm),
      rope: ropeConfig(this.rope),
    };
  }

  private norms(): Layer[] {
    return [this.qNorm, this.kNorm];
  }

  private normLayer(argument: string, identifier: LayerIdentifier | null | undefined): Layer {
    if (identifier === null || identifier === undefined) return new HeadNormalization(this.rules);
    const { perHead, sharedAcrossHeads, castStrategy } = this.rules;
    const layer = resolveLayer(this.op, argument, identifier);
    const mend = `It has weights of its own; leave ${argument} out for the built-in norm.`;
    if (perHead && !sharedAcrossHeads) {
      throw this.reject(argument, 'left out with sharedAcrossHeads false', describe(layer), mend);
    }
    if (castStrategy === 'weights') {
      throw this.reject(argument, "left out with castStrategy 'weights'", describe(layer), mend);
    }
    return layer;
  }

  private buildNorm(layer: Layer, scope: string, shape: Shape): void {
    if (layer instanceof HeadNormalization) return buildAs(layer, scope, shape);
    const [batch, length, heads, dim] = shape as [number, number, number, number];
    const given = this.rules.perHead ? shape : [batch, length, heads * dim];
    buildAs(layer, scope, given);
    const made = describe(layer.computeOutputShape(given));
    if (made !== describe(given)) {
      const argument = layer === this.qNorm ? 'qNorm' : 'kNorm';
      const mend = 'Wrap a norm, or another layer that keeps the shape.';
      throw this.reject(argument, `a layer ${describe(given)} -> ${describe(given)}`, made, mend);
    }
  }

  private checkHeads(argument: string, x: FloatTensor, built: Shape): void {
    if (!this.built) {
      const mend = 'Call apply(), which builds the layer and then calls it.';
      throw this.reject('inputs', 'those of a layer that is built', 'the first ones', mend);
    }
    const [heads, dim] = x.shape.slice(2);
    if (heads === built[0] && dim === built[1]) return;
    const expected = `of ${built[0]} heads and head dim ${built[1]}, as when the layer was built`;
    throw this.reject(argument, expected, `shape ${describe(x.shape)}`, 'Make a layer for each.');
  }

  private prepared(
    layer: Layer,
    x: FloatTensor,
    tables: RotaryTables | undefined,
    kwargs: Record<string, unknown>,
  ): FloatTensor {
    const { castTo: dtype } = this.rules;
    if (!this.rope || !tables) return this.normed(layer, x, dtype, kwargs);
    const normed = this.normed(layer, x, 'float32', kwargs) as Tensor;
    return castTo(rotate(normed, this.rope, tables), dtype);
  }

  private normed(
    layer: Layer,
    x: FloatTensor,
    dtype: FloatDType,
    kwargs: Record<string, unknown>,
  ): FloatTensor {
    if (layer instanceof HeadNormalization) return layer.normTo(x, dtype);
    const [batch, length, heads, dim] = x.shape as [number, number, number, number];
    const wide = toFloat32(x);
    const rows = this.rules.perHead ? wide : reshapeTo(wide, [batch, length, heads * dim]);
    const normed = layer.apply(rows, { training: kwargs['training'] }) as Tensor;
    return castTo(reshapeTo(normed, x.shape), dtype);
  }

  private reject(argument: string, expected: string, got: string, mend: string): RangeError {
    return rangeError({ op: this.op, argument, expected, got, mend });
  }
}
serialization.registerClass(QKNormAttention);

/**
 * QK-norm: norms query and key, rotates them if told to, casts them and value to bfloat16, and attends.
 * [query, key, value] -> [B, Mq, H, V], float32.
 *
 * Statistics, weights and gradients stay float32; the normed values are rounded once, and the kernel
 * that norms them writes them as bfloat16. Weights: `q_norm/gamma`, `q_norm/beta`, `k_norm/gamma`,
 * `k_norm/beta`, those that there are, of shape [K] (or [H, K], or [H*K]; for keys with their number
 * of heads), interchangeable with those of `tf.layers.layerNormalization`. For masks and
 * causal alignment see `memoryEfficientAttention`; docs/qk_norm.md says which options make which
 * published model.
 *
 * @param args `norm` ('layer', 'rms', 'l2' or 'none'), `castTo` ('bfloat16' or 'float32'),
 *   `castStrategy` ('output' or 'weights'), `perHead` (true), `sharedAcrossHeads` (true), `epsilon`
 *   (1e-6; tf.layers has 1e-3), `useGamma`, `useBeta`, `weightOffset` (0), `qNorm` and `kNorm` (layers
 *   of your own instead of the built-in norm), `rope` (none; true or as in `rotaryEmbedding`; the last
 *   query lines up with the last key, or `apply(inputs, {positions})` says where rows stand), and the arguments of `memoryEfficientAttention`,
 *   whose `scale` is the factor of the scores.
 * @throws TypeError or RangeError for an unknown argument, a value out of range, arguments that
 *   exclude each other, or inputs that are not three, not of rank 4, or do not fit each other.
 * @example
 * const attention = layers.qkNormAttention({ norm: 'rms', causal: true });
 * const output = attention.apply([q, k, v]);   // each [B, M, H, K], float32
 */
export function qkNormAttention(args?: QKNormAttentionArgs): QKNormAttention {
  return new QKNormAttention(args);
}
