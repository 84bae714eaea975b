// SPDX-License-Identifier: Apache-2.0
import { serialization, tidy } from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';
import { checkFloat32Tensor } from '../ops/arguments.js';
import { rangeError } from '../spec/errors.js';
import { rotaryDim } from '../spec/rotary.js';
import { booleanArg, checkArgs } from './layer_args.js';
import { resolve, resolveInitializer, toConfig } from './identifiers.js';
import { MULTI_HEAD_ARGS, fromKeras, multiHeadSizes, qkNormArgs } from './multi_head/args.js';
import type { MultiHeadAttentionArgs, MultiHeadSizes } from './multi_head/args.js';
import { AttentionCore } from './multi_head/attention_core.js';
import type { HeadCall } from './multi_head/attention_core.js';
import { KeyValueCache, cacheOf } from './multi_head/key_value_cache.js';
import { Projection } from './multi_head/projection.js';
import type { ProjectionShape } from './multi_head/projection.js';
import { checkShapes, tripleOf } from './multi_head/shapes.js';
import type { Triple } from './multi_head/shapes.js';
import { ownConfig } from './nested_layer.js';
import type { WeightRules } from './normalization.js';

const OP = 'multiHeadAttention';

/** The layer that `multiHeadAttention` makes. */
export class MultiHeadAttention extends layers.Layer {
  /** @nocollapse */
  static className = 'MultiHeadAttention';
  readonly sizes: MultiHeadSizes;
  readonly useBias: boolean;
  private readonly core: AttentionCore;
  private readonly kernelRules: WeightRules;
  private readonly biasRules: WeightRules;
  private projections: (Triple<Projection> & { output: Projection }) | null = null;
  private channels: Triple<number> | null = null;

  constructor(args: MultiHeadAttentionArgs) {
    if (new.target === MultiHeadAttention) checkArgs(OP, args, MULTI_HEAD_ARGS);
    super(args);
    this.sizes = multiHeadSizes(OP, args);
    this.useBias = booleanArg(OP, 'useBias', args.useBias, true);
    this.core = coreOf(args);
    if (this.core.rope) rotaryDim(OP, 'rope.', this.core.rope, this.sizes.keyDim);
    const { kernelInitializer, biasInitializer } = args;
    this.kernelRules = {
      initializer: resolveInitializer(OP, 'kernelInitializer', kernelInitializer, 'glorotUniform'),
      regularizer: resolve(OP, 'regularizer', 'kernelRegularizer', args.kernelRegularizer),
      constraint: resolve(OP, 'constraint', 'kernelConstraint', args.kernelConstraint),
    };
    this.biasRules = {
      initializer: resolveInitializer(OP, 'biasInitializer', biasInitializer, 'zeros'),
      regularizer: resolve(OP, 'regularizer', 'biasRegularizer', args.biasRegularizer),
      constraint: resolve(OP, 'constraint', 'biasConstraint', args.biasConstraint),
    };
    this.supportsMasking = true;
  }

  /** Takes configurations that Keras' MultiHeadAttention wrote, too. @nocollapse */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(fromKeras(OP, ownConfig(config)));
  }

  override build(inputShape: Shape | Shape[]): void {
    const { query, value, key } = checkShapes(OP, inputShape);
    const { numHeads: H, numKvHeads: G, keyDim: K, valueDim: V, units } = this.sizes;
    const [batch, queries, steps] = [query[0]!, query[1]!, key[1]!];
    const heads = [
      [batch, queries, H, K],
      [batch, steps, G, K],
      [batch, steps, G, V],
    ];
    this.channels = { query: query[2]!, value: value[2]!, key: key[2]! };
    // In the order in which Keras has the weights.
    this.projections = {
      query: this.projection('query', { from: [this.channels.query], to: [H, K] }),
      key: this.projection('key', { from: [this.channels.key], to: [G, K] }),
      value: this.projection('value', { from: [this.channels.value], to: [G, V] }),
      output: this.projection('attention_output', { from: [H, V], to: [units ?? query[2]!] }),
    };
    this.core.build(heads);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const { query } = checkShapes(OP, inputShape);
    return [query[0]!, query[1]!, this.sizes.units ?? query[2]!];
  }

  /** The mask of the query: the output has its steps. */
  override computeMask(_inputs: Tensor | Tensor[], mask?: Tensor | Tensor[]): Tensor {
    // tfjs takes a missing mask, and declares none.
    return (Array.isArray(mask) ? mask[0] : mask) as Tensor;
  }

  /**
   * @param inputs query, [query, value] or [query, value, key], each [B, M, C].
   * @param kwargs `training`; `mask`, [B, M] for each input; `attentionMask`; `cache`; `seqlens` and
   *   `kvSeqlens`; `positions`. docs/multi_head_attention.md says what each does.
   */
  override call(inputs: Tensor | Tensor[], kwargs: Record<string, unknown>): Tensor {
    return tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const given = this.checkedInputs(inputs);
      const { query, value, key, output } = this.projections!;
      const call: HeadCall = {
        inputs: given,
        heads: this.sizes.numHeads,
        project: {
          query: () => query.apply(given.query),
          value: () => value.apply(given.value),
          key: () => key.apply(given.key),
        },
        cache: cacheOf(OP, kwargs)?.partOf(OP, this, given.query.shape[0]!) ?? null,
      };
      return output.apply(this.core.attendHeads(call, kwargs));
    });
  }

  /**
   * A cache for this layer alone.
   *
   * @param batchSize the batch size of the calls.
   * @param capacity steps that it can hold at most.
   * @throws TypeError or RangeError unless both are whole numbers above 0.
   */
  makeCache(batchSize: number, capacity: number): KeyValueCache {
    return new KeyValueCache('makeCache', [this], batchSize, capacity);
  }

  override get trainable(): boolean {
    return super.trainable;
  }
  override set trainable(trainable: boolean) {
    super.trainable = trainable;
    this.core.trainable = trainable;
  }

  /** In Keras' order, whichever of them are frozen. */
  override get weights(): LayerVariable[] {
    return [...this._trainableWeights, ...this.core.weights];
  }

  override get trainableWeights(): LayerVariable[] {
    return [...super.trainableWeights, ...this.core.trainableWeights];
  }

  override get nonTrainableWeights(): LayerVariable[] {
    return [...super.nonTrainableWeights, ...this.core.nonTrainableWeights];
  }

  /** Not the getter `losses`: tfjs adds a regularizer's loss by a push to what it returns. */
  override calculateLosses(): Scalar[] {
    return [...super.calculateLosses(), ...this.core.calculateLosses()];
  }

  override setFastWeightInitDuringBuild(value: boolean): void {
    super.setFastWeightInitDuringBuild(value);
    this.core.setFastWeightInitDuringBuild(value);
  }

  override getConfig(): serialization.ConfigDict {
    return {
      ...super.getConfig(),
      ...this.sizes,
      useBias: this.useBias,
      ...this.core.argsConfig(),
      kernelInitializer: toConfig(this.kernelRules.initializer),
      biasInitializer: toConfig(this.biasRules.initializer),
      kernelRegularizer: toConfig(this.kernelRules.regularizer),
      biasRegularizer: toConfig(this.biasRules.regularizer),
      kernelConstraint: toConfig(this.kernelRules.constraint),
      biasConstraint: toConfig(this.biasRules.constraint),
    };
  }

  private projection(scope: string, shape: ProjectionShape): Projection {
    const rules = { kernel: this.kernelRules, bias: this.useBias ? this.biasRules : null };
    return new Projection(scope, shape, rules, (name, sizes, rule) => {
      const { initializer, regularizer, constraint } = rule;
      return this.addWeight(name, sizes, 'float32', initializer, regularizer, true, constraint);
    });
  }

  private checkedInputs(inputs: Tensor | Tensor[]): Triple<Tensor> {
    const given = tripleOf(OP, Array.isArray(inputs) ? inputs : [inputs]);
    const names = ['query', 'value', 'key'] as const;
    for (const name of names) checkFloat32Tensor(OP, name, given[name] as unknown);
    checkShapes(
      OP,
      names.map((name) => given[name].shape),
    );
    if (!this.channels) {
      const mend = 'Call apply(), which builds the layer and then calls it.';
      throw reject('inputs', 'those of a layer that is built', 'the first ones', mend);
    }
    for (const name of names) {
      const [got, built] = [given[name].shape[2]!, this.channels[name]];
      if (got === built) continue;
      const expected = `of ${built} channels, as when the layer was built`;
      throw reject(name, expected, String(got), 'Make a layer for each size.');
    }
    return given;
  }
}
serialization.registerClass(MultiHeadAttention);

function coreOf(args: MultiHeadAttentionArgs): AttentionCore {
  const { castTo, castStrategy, rope } = args;
  const { causal, windowSize, scale, dropout, seed, softcap, saveDtype, trainable } = args;
  const core = new AttentionCore(
    {
      ...qkNormArgs(OP, args.qkNorm),
      castTo: castTo ?? 'float32',
      castStrategy,
      rope,
      ...{ causal, windowSize, scale, dropout, seed, softcap, saveDtype },
    },
    OP,
  );
  if (trainable === false) core.trainable = false;
  return core;
}

function reject(argument: string, expected: string, got: string, mend: string): RangeError {
  return rangeError({ op: OP, argument, expected, got, mend });
}

/**
 * Multi-head attention with its projections, as Keras' MultiHeadAttention and more: grouped queries,
 * QK-norm, rotary embedding, bfloat16, and a key/value cache. Nothing of size Mq x Mk is ever made.
 *
 * query, [value], [key] -> [B, Mq, units], float32; each input is [B, M, C]. `apply(x)` is
 * self-attention; `apply([query, value])` and `apply([query, value, key])` are in Keras' order, key being
 * value where it is left out. Weights, in Keras' order, names and shapes: `query/kernel` [C, H, K],
 * `query/bias` [H, K], `key/…` [C, G, K], `value/…` [C, G, V], `attention_output/kernel` [H, V, units],
 * `attention_output/bias` [units]; after them those of the norms, `q_norm/…` and `k_norm/…`.
 *
 * Padding that tf.layers masks mark is not attended, and queries that are padding get the output of no
 * attention. docs/multi_head_attention.md has the masks, the cache and packed sequences.
 *
 * @param args `numHeads`, `keyDim`; `valueDim` (keyDim), `numKvHeads` (numHeads), `units` (those of the
 *   query), `useBias` (true), `causal` (false), `windowSize`, `scale` (1 / sqrt(keyDim)), `dropout` (0),
 *   `seed`, `softcap`, `saveDtype` ('float32'), `qkNorm` (none), `rope` (none), `castTo` ('float32'), `castStrategy` ('output'), and
 *   initializers, regularizers and constraints for kernels and biases, besides those of every layer.
 * @throws TypeError or RangeError for an unknown argument, a value out of range, arguments that
 *   exclude each other, or inputs that are not one to three, not of rank 3, or do not fit each other.
 * @example
 * const attention = layers.multiHeadAttention({ numHeads: 8, keyDim: 64, causal: true, rope: true });
 * const y = attention.apply(tf.randomNormal([2, 128, 512]));   // [2, 128, 512]
 */
export function multiHeadAttention(args: MultiHeadAttentionArgs): MultiHeadAttention {
  return new MultiHeadAttention(args);
}
