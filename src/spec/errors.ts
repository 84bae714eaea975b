// SPDX-License-Identifier: Apache-2.0
/**
 * Every message of this package has five parts: the op, the argument, what was expected, what came,
 * and how to mend it. These two builders keep that order everywhere.
 */
export interface Rejection {
  op: string;
  argument: string;
  expected: string;
  got: string;
  mend: string;
}

function message({ op, argument, expected, got, mend }: Rejection): string {
  return `${op}: ${argument} must be ${expected}, got ${got}. ${mend}`;
}

/** For a value of the wrong kind: not a tensor, a wrong dtype, an unknown option. */
export function typeError(rejection: Rejection): TypeError {
  return new TypeError(message(rejection));
}

/** For a value of the right kind outside the allowed set: a rank, a shape, a number, a length. */
export function rangeError(rejection: Rejection): RangeError {
  return new RangeError(message(rejection));
}

/** Prints a value for an error message: short, and unambiguous about its type. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) {
    const head = value.slice(0, 6).map(describe).join(', ');
    return `[${value.length > 6 ? `${head}, … ${value.length} values` : head}]`;
  }
  if (typeof value === 'object') return value.constructor?.name ?? 'an object';
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  return `${value as number | boolean | bigint}`;
}

/** Throws unless `value` is true, false or left out. */
export function checkFlag(op: string, argument: string, value: unknown, mend: string): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw typeError({ op, argument, expected: 'true or false', got: describe(value), mend });
}
