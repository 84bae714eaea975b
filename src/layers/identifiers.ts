// SPDX-License-Identifier: Apache-2.0
/**
 * Initializers, regularizers and constraints as layers take them: an instance, a name ('zeros') or
 * the dictionary that getConfig() wrote, {className, config}. tfjs keeps its own functions for
 * this private, so these go through its public factories and its class registry.
 */
import { serialization } from '@tensorflow/tfjs-core';
import { constraints, initializers, regularizers } from '@tensorflow/tfjs-layers';
import { describe, rangeError, typeError } from '../spec/errors.js';

export type Initializer = ReturnType<typeof initializers.ones>;
export type Regularizer = ReturnType<typeof regularizers.l2>;
export type Constraint = ReturnType<typeof constraints.nonNeg>;

/** What may stand for a `T` in a layer's arguments. */
export type Identifier<T> = string | T | serialization.ConfigDict;

type Factories = Record<string, ((config: object) => serialization.Serializable) | undefined>;

const FACTORIES = {
  initializer: initializers as unknown as Factories,
  regularizer: regularizers as unknown as Factories,
  constraint: constraints as unknown as Factories,
};

interface Kinds {
  initializer: Initializer;
  regularizer: Regularizer;
  constraint: Constraint;
}

/** Turns an identifier into its object; null or undefined gives undefined. */
export function resolve<K extends keyof Kinds>(
  op: string,
  kind: K,
  argument: string,
  identifier: Identifier<Kinds[K]> | null | undefined,
): Kinds[K] | undefined {
  if (identifier === null || identifier === undefined) return undefined;
  if (typeof identifier === 'string') {
    const factory = FACTORIES[kind][identifier];
    return (factory ? factory({}) : fromRegistry(op, kind, argument, identifier, {})) as Kinds[K];
  }
  if (typeof (identifier as Kinds[K]).getClassName === 'function') return identifier as Kinds[K];
  const { className, config } = identifier as serialization.ConfigDict;
  if (typeof className !== 'string') {
    throw typeError({
      op,
      argument,
      expected: `a tf.${kind}s object, a name or {className, config}`,
      got: describe(identifier),
      mend: `Pass for example tf.${kind}s.${EXAMPLES[kind]}.`,
    });
  }
  const settings = (config ?? {}) as serialization.ConfigDict;
  return fromRegistry(op, kind, argument, className, settings) as Kinds[K];
}

/** `resolve` for an initializer that has a default. */
export function resolveInitializer(
  op: string,
  argument: string,
  identifier: Identifier<Initializer> | null | undefined,
  fallback: 'zeros' | 'ones' | 'glorotUniform',
): Initializer {
  return resolve(op, 'initializer', argument, identifier ?? fallback)!;
}

/** The dictionary that `resolve` takes back, for a layer's getConfig(). */
export function toConfig(
  object: serialization.Serializable | undefined,
): serialization.ConfigDict | null {
  return object ? { className: object.getClassName(), config: object.getConfig() } : null;
}

const EXAMPLES = { initializer: 'ones()', regularizer: 'l2()', constraint: 'nonNeg()' };

function fromRegistry(
  op: string,
  kind: keyof Kinds,
  argument: string,
  className: string,
  config: serialization.ConfigDict,
): serialization.Serializable {
  const entry = serialization.SerializationMap.getMap().classNameMap[className];
  if (!entry) {
    throw rangeError({
      op,
      argument,
      expected: `the name of a registered ${kind}`,
      got: `'${className}'`,
      mend: `Pass for example tf.${kind}s.${EXAMPLES[kind]}, or register the class first.`,
    });
  }
  const [constructor, fromConfig] = entry;
  return fromConfig(constructor, config);
}
