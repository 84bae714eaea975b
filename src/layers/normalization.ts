// SPDX-License-Identifier: Apache-2.0
/** What the normalization layers share: the axes, epsilon, gamma and their configuration. */
import { reshape, tidy } from '@tensorflow/tfjs-core';
import type { Tensor, serialization } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';
import { rangeError } from '../spec/errors.js';
import { checkEpsilon } from '../spec/norm.js';
import { resolve, resolveInitializer, toConfig } from './identifiers.js';
import type { Constraint, Identifier, Initializer, Regularizer } from './identifiers.js';
import { ownConfig } from './nested_layer.js';
import { checkAxis, normOverAxes, resolveAxes, weightShape } from './norm_axes.js';

/** The arguments that every tf.layers layer takes: name, inputShape, trainable, … */
export type LayerArgs = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;

export interface FusedNormalizationArgs extends LayerArgs {
  /** The normed axes; kernels are fused for the last ones, others are transposed there. -1. */
  axis?: number | number[] | undefined;
  /** Added to the variance, or to the mean square. */
  epsilon?: number | undefined;
  /** Whether there is a gamma. true. */
  scale?: boolean | undefined;
  gammaInitializer?: Identifier<Initializer> | null | undefined;
  gammaRegularizer?: Identifier<Regularizer> | null | undefined;
  gammaConstraint?: Identifier<Constraint> | null | undefined;
}

export const NORMALIZATION_ARGS: readonly (keyof FusedNormalizationArgs)[] = [
  'axis',
  'epsilon',
  'scale',
  'gammaInitializer',
  'gammaRegularizer',
  'gammaConstraint',
];

/** How one weight of a normalization begins and is held. */
export interface WeightRules {
  initializer: Initializer;
  regularizer: Regularizer | undefined;
  constraint: Constraint | undefined;
}

export abstract class FusedNormalization extends layers.Layer {
  readonly axis: number | number[];
  readonly epsilon: number;
  readonly scale: boolean;
  protected gamma: LayerVariable | undefined;
  private readonly gammaRules: WeightRules;

  /** `op` is the factory's name, for messages. */
  constructor(
    protected readonly op: string,
    args: FusedNormalizationArgs,
    defaultEpsilon: number,
  ) {
    super(args);
    this.axis = args.axis ?? -1;
    checkAxis(op, this.axis);
    const epsilon = args.epsilon ?? defaultEpsilon;
    checkEpsilon(op, 'epsilon', epsilon);
    this.epsilon = epsilon;
    this.scale = args.scale ?? true;
    this.gammaRules = {
      initializer: resolveInitializer(op, 'gammaInitializer', args.gammaInitializer, 'ones'),
      regularizer: resolve(op, 'regularizer', 'gammaRegularizer', args.gammaRegularizer),
      constraint: resolve(op, 'constraint', 'gammaConstraint', args.gammaConstraint),
    };
    this.supportsMasking = true;
  }

  /** @nocollapse */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(ownConfig(config));
  }

  override build(inputShape: Shape | Shape[]): void {
    const sizes = this.weightSizes(inputShape);
    if (this.scale) this.gamma = this.addNormWeight('gamma', sizes, this.gammaRules);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape | Shape[] {
    return inputShape;
  }

  override call(inputs: Tensor | Tensor[], kwargs: Record<string, unknown>): Tensor {
    return tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const x = Array.isArray(inputs) ? inputs[0]! : inputs;
      const axes = resolveAxes(this.op, this.axis, x.rank);
      return normOverAxes(x, axes, (flat) => this.norm(flat));
    });
  }

  override getConfig(): serialization.ConfigDict {
    return {
      ...super.getConfig(),
      axis: this.axis,
      epsilon: this.epsilon,
      scale: this.scale,
      gammaInitializer: toConfig(this.gammaRules.initializer),
      gammaRegularizer: toConfig(this.gammaRules.regularizer),
      gammaConstraint: toConfig(this.gammaRules.constraint),
    };
  }

  /** Norms the last axis of x with this layer's weights. */
  protected abstract norm(x: Tensor): Tensor;

  protected weightSizes(inputShape: Shape | Shape[]): number[] {
    const shape = oneShape(this.op, inputShape);
    return weightShape(this.op, shape, resolveAxes(this.op, this.axis, shape.length));
  }

  protected addNormWeight(name: string, sizes: number[], rules: WeightRules): LayerVariable {
    const { initializer, regularizer, constraint } = rules;
    return this.addWeight(name, sizes, 'float32', initializer, regularizer, true, constraint);
  }
}

/** A weight as the ops take it: flat, or null where the layer has none. */
export function flatWeight(weight: LayerVariable | undefined): Tensor | null {
  if (!weight) return null;
  const value = weight.read();
  return value.rank === 1 ? value : reshape(value, [-1]);
}

function oneShape(op: string, inputShape: Shape | Shape[]): Shape {
  const shapes = (Array.isArray(inputShape[0]) ? inputShape : [inputShape]) as Shape[];
  if (shapes.length !== 1) {
    throw rangeError({
      op,
      argument: 'inputs',
      expected: 'one tensor',
      got: `${shapes.length}`,
      mend: 'Make a layer for each.',
    });
  }
  return shapes[0]!;
}
