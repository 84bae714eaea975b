// SPDX-License-Identifier: Apache-2.0

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {}

/** What parseArgs did not understand. Of an unknown option it goes on about positional arguments, which nobody here means. */
export function usageErrorOf(error: unknown): UsageError {
  const message = error instanceof Error ? error.message : String(error);
  return new UsageError(message.replace(/\. To specify a positional argument .*$/, ''));
}

/**
 * A whole number from the command line.
 *
 * @throws UsageError
 */
export function wholeNumber(name: string, value: string, least: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < least) {
    throw new UsageError(`--${name} takes a whole number of at least ${least}, not '${value}'`);
  }
  return number;
}
