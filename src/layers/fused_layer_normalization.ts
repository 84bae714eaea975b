// SPDX-License-Identifier: Apache-2.0
import { serialization } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';
import { fusedLayerNorm } from '../ops/fused_norm.js';
import { resolve, resolveInitializer, toConfig } from './identifiers.js';
import type { Constraint, Identifier, Initializer, Regularizer } from './identifiers.js';
import { checkArgs } from './layer_args.js';
import { FusedNormalization, NORMALIZATION_ARGS, flatWeight } from './normalization.js';
import type { FusedNormalizationArgs, WeightRules } from './normalization.js';

export interface FusedLayerNormalizationArgs extends FusedNormalizationArgs {
  /** Whether there is a beta. true. */
  center?: boolean | undefined;
  betaInitializer?: Identifier<Initializer> | null | undefined;
  betaRegularizer?: Identifier<Regularizer> | null | undefined;
  betaConstraint?: Identifier<Constraint> | null | undefined;
}

const OP = 'fusedLayerNormalization';
const KNOWN = [
  'center',
  ...NORMALIZATION_ARGS,
  'betaInitializer',
  'betaRegularizer',
  'betaConstraint',
];

/** The layer that `fusedLayerNormalization` makes. */
export class FusedLayerNormalization extends FusedNormalization {
  /** @nocollapse */
  static className = 'FusedLayerNormalization';
  readonly center: boolean;
  private beta: LayerVariable | undefined;
  private readonly betaRules: WeightRules;

  constructor(args: FusedLayerNormalizationArgs = {}) {
    if (new.target === FusedLayerNormalization) checkArgs(OP, args, KNOWN);
    super(OP, args, 1e-3);
    this.center = args.center ?? true;
    this.betaRules = {
      initializer: resolveInitializer(OP, 'betaInitializer', args.betaInitializer, 'zeros'),
      regularizer: resolve(OP, 'regularizer', 'betaRegularizer', args.betaRegularizer),
      constraint: resolve(OP, 'constraint', 'betaConstraint', args.betaConstraint),
    };
  }

  override build(inputShape: Shape | Shape[]): void {
    super.build(inputShape);
    if (!this.center) return;
    this.beta = this.addNormWeight('beta', this.weightSizes(inputShape), this.betaRules);
  }

  override getConfig(): serialization.ConfigDict {
    return {
      ...super.getConfig(),
      center: this.center,
      betaInitializer: toConfig(this.betaRules.initializer),
      betaRegularizer: toConfig(this.betaRules.regularizer),
      betaConstraint: toConfig(this.betaRules.constraint),
    };
  }

  protected override norm(x: Tensor): Tensor {
    const options = { epsilon: this.epsilon };
    return fusedLayerNorm(x, flatWeight(this.gamma), flatWeight(this.beta), options);
  }
}
serialization.registerClass(FusedLayerNormalization);

/**
 * Layer normalization as one kernel, interchangeable with `tf.layers.layerNormalization`: the same
 * arguments, defaults, weights (gamma, then beta) and configuration.
 *
 * @param args `axis` (-1), `epsilon` (1e-3), `center` and `scale` (true), and for beta and gamma
 *   each an initializer, a regularizer and a constraint, besides the arguments of every layer.
 * @returns a layer [..., C] -> [..., C].
 * @throws TypeError or RangeError for an unknown argument, or an axis, epsilon or identifier that it cannot take.
 * @example
 * const model = tf.sequential();
 * model.add(tf.layers.dense({ units: 64, inputShape: [32] }));
 * model.add(layers.fusedLayerNormalization());
 */
export function fusedLayerNormalization(
  args?: FusedLayerNormalizationArgs,
): FusedLayerNormalization {
  return new FusedLayerNormalization(args);
}
