// SPDX-License-Identifier: Apache-2.0
import { serialization, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { ATTENTION_LAYER_ARGS, AttentionLayer } from './attention_layer.js';
import type { AttentionLayerArgs } from './attention_layer.js';
import { checkArgs } from './layer_args.js';
import { ownConfig } from './nested_layer.js';

export type MemoryEfficientAttentionArgs = AttentionLayerArgs;

const OP = 'memoryEfficientAttention';

/** The layer that `layers.memoryEfficientAttention` makes. */
export class MemoryEfficientAttention extends AttentionLayer {
  /** @nocollapse */
  static className = 'MemoryEfficientAttention';

  constructor(args: MemoryEfficientAttentionArgs = {}) {
    if (new.target === MemoryEfficientAttention) checkArgs(OP, args, ATTENTION_LAYER_ARGS);
    super(OP, args);
  }

  /** @nocollapse */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(ownConfig(config));
  }

  override call(inputs: Tensor | Tensor[], kwargs: Record<string, unknown>): Tensor {
    return tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const operands = this.operands(inputs);
      return this.attend(operands, this.padding(operands, kwargs), kwargs);
    });
  }
}
serialization.registerClass(MemoryEfficientAttention);

/**
 * Attention as a layer without weights: [query, key, value] -> [B, Mq, H, V], float32.
 *
 * query is [B, Mq, H, K], key [B, Mk, G, K], value [B, Mk, G, V], where G divides H. Nothing of size
 * Mq x Mk is ever made. Steps of key and value that a mask of `tf.layers.embedding({maskZero: true})`
 * or `tf.layers.masking` marks as padding are not attended; the output has the mask of query. tfjs
 * hands a layer the mask of its first input only: for keys of other steps than the queries' pass
 * the mask yourself, `layer.apply(tensors, {mask: [null, keyMask, null]})`.
 *
 * @param args `causal` (false), `windowSize` (no limit), `scale` (1 / sqrt(K)), `dropout` (0; acts
 *   only when training), `seed`, `softcap` and `saveDtype` ('float32'), besides the arguments of every layer. With `causal`
 *   the last query lines up with the last key, which matters only if there are more keys than
 *   queries, as with a cache of older keys.
 * @throws TypeError or RangeError for an unknown argument, a number out of range, or inputs that are
 *   not three, not of rank 4, or do not fit each other.
 * @example
 * const [q, k, v] = [0, 1, 2].map(() => tf.input({ shape: [128, 4, 32] }));
 * const output = layers.memoryEfficientAttention({ causal: true, dropout: 0.1 }).apply([q, k, v]);
 */
export function memoryEfficientAttention(
  args?: MemoryEfficientAttentionArgs,
): MemoryEfficientAttention {
  return new MemoryEfficientAttention(args);
}
