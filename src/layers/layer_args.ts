// SPDX-License-Identifier: Apache-2.0
/** Checks of what a layer is made with. Null stands for "left out": a configuration read from JSON has it. */
import { checkOptions } from '../ops/arguments.js';
import { checkFlag, describe, rangeError, typeError } from '../spec/errors.js';

/** The arguments that every layer of tf.layers takes. */
const LAYER_ARGS = [
  'name',
  'trainable',
  'dtype',
  'inputShape',
  'batchInputShape',
  'batchSize',
  'inputDType',
  'weights',
];

/**
 * Throws if `args` is no plain object or has a name that neither `own` nor tf.layers knows. Not for
 * classes derived from ours: by tfjs' custom they pass on all that they were made with.
 */
export function checkArgs(op: string, args: unknown, own: readonly string[]): void {
  checkOptions(op, args, [...own, ...LAYER_ARGS]);
}

/** The value, or the default where there is none; throws unless it is a boolean. */
export function booleanArg(
  op: string,
  argument: string,
  value: boolean | null | undefined,
  fallback: boolean,
): boolean {
  if (value === null || value === undefined) return fallback;
  checkFlag(op, argument, value, `Leave it out for ${fallback}.`);
  return value;
}

/** The value, or the default where there is none; throws unless it is one of `choices`. */
export function choiceArg<T extends string>(
  op: string,
  argument: string,
  value: T | null | undefined,
  choices: readonly T[],
  fallback: T,
): T {
  if (value === null || value === undefined) return fallback;
  if (!choices.includes(value)) {
    const rejection = {
      op,
      argument,
      expected: `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`,
      got: describe(value),
      mend: `Leave it out for '${fallback}'.`,
    };
    throw typeof value === 'string' ? rangeError(rejection) : typeError(rejection);
  }
  return value;
}
