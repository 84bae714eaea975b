// SPDX-License-Identifier: Apache-2.0
import { serialization } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { fusedRMSNorm } from '../ops/fused_norm.js';
import { checkWeightOffset } from '../spec/norm.js';
import { checkArgs } from './layer_args.js';
import { FusedNormalization, NORMALIZATION_ARGS, flatWeight } from './normalization.js';
import type { FusedNormalizationArgs } from './normalization.js';

export interface FusedRMSNormalizationArgs extends FusedNormalizationArgs {
  /** Added to gamma; 1 for weights stored around zero, whose initializer then is zeros. 0. */
  weightOffset?: number | undefined;
}

const OP = 'fusedRMSNormalization';
const KNOWN = ['weightOffset', ...NORMALIZATION_ARGS];

/** The layer that `fusedRMSNormalization` makes. */
export class FusedRMSNormalization extends FusedNormalization {
  /** @nocollapse */
  static className = 'FusedRMSNormalization';
  readonly weightOffset: number;

  constructor(args: FusedRMSNormalizationArgs = {}) {
    if (new.target === FusedRMSNormalization) checkArgs(OP, args, KNOWN);
    const weightOffset = args.weightOffset ?? 0;
    checkWeightOffset(OP, 'weightOffset', weightOffset);
    const gammaInitializer = args.gammaInitializer ?? (weightOffset === 1 ? 'zeros' : 'ones');
    super(OP, { ...args, gammaInitializer }, 1e-6);
    this.weightOffset = weightOffset;
  }

  override getConfig(): serialization.ConfigDict {
    return { ...super.getConfig(), weightOffset: this.weightOffset };
  }

  protected override norm(x: Tensor): Tensor {
    const { epsilon, weightOffset } = this;
    return fusedRMSNorm(x, flatWeight(this.gamma), { epsilon, weightOffset });
  }
}
serialization.registerClass(FusedRMSNormalization);

/**
 * Root mean square normalization as one kernel, with the single weight gamma.
 *
 * @param args `axis` (-1), `epsilon` (1e-6), `weightOffset` (0), `scale` (true), and an initializer
 *   (ones; zeros where weightOffset is 1), a regularizer and a constraint for gamma, besides the
 *   arguments of every layer.
 * @returns a layer [..., C] -> [..., C].
 * @throws TypeError or RangeError for an unknown argument, or an axis, number or identifier that it cannot take.
 * @example
 * const y = layers.fusedRMSNormalization({ epsilon: 1e-5 }).apply(tf.randomNormal([4, 64]));
 */
export function fusedRMSNormalization(args?: FusedRMSNormalizationArgs): FusedRMSNormalization {
  return new FusedRMSNormalization(args);
}
