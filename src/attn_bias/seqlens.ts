// SPDX-License-Identifier: Apache-2.0
/** Checks and sums of sequence lengths, all on JavaScript numbers. */
import { describe, rangeError, typeError } from '../spec/errors.js';

/** A frozen copy of a list of lengths, after checking that all are whole and none negative. */
export function checkSeqlens(op: string, argument: string, lengths: unknown): readonly number[] {
  if (!Array.isArray(lengths)) {
    throw typeError({
      op,
      argument,
      expected: 'an array of lengths, one to a sequence',
      got: describe(lengths),
      mend: 'Pass for example [3, 6, 2]; turn a typed array into one with Array.from().',
    });
  }
  if (lengths.length === 0) {
    throw rangeError({
      op,
      argument,
      expected: 'the lengths of at least one sequence',
      got: '[]',
      mend: 'Skip the call when there is no sequence; a sequence may have length 0.',
    });
  }
  for (const [index, length] of (lengths as unknown[]).entries()) {
    checkWhole(op, `${argument}[${index}]`, length, 0, 'Lengths count rows of a tensor.');
  }
  return Object.freeze([...(lengths as number[])]);
}

/** Throws unless `value` is a whole number and at least `least`. */
export function checkWhole(
  op: string,
  argument: string,
  value: unknown,
  least: number,
  mend: string,
): void {
  if (!Number.isInteger(value) || (value as number) < least) {
    throw rangeError({
      op,
      argument,
      expected: `a whole number, ${least} or above`,
      got: describe(value),
      mend,
    });
  }
}

/** Throws unless a list has one entry to a sequence (and `extra` more). */
export function checkCount(
  op: string,
  argument: string,
  list: readonly unknown[],
  sequences: number,
  extra = 0,
): void {
  if (list.length !== sequences + extra) {
    throw rangeError({
      op,
      argument,
      expected: `of ${sequences + extra} entries, as qSeqlen has ${sequences}`,
      got: `${list.length} entries`,
      mend: extra
        ? 'Give the first key row of each sequence, and last the number of key rows.'
        : 'Give one entry for each sequence; a sequence without keys has length 0.',
    });
  }
}

/** Throws unless a tensor has the length that the lists add up to. */
export function checkTotal(
  op: string,
  argument: string,
  got: number,
  expected: number,
  meaning: string,
): void {
  if (got !== expected) {
    throw rangeError({
      op,
      argument,
      expected: `${expected} long (${meaning})`,
      got: String(got),
      mend: 'Make the mask from the lengths of the tensors that it is used with.',
    });
  }
}

/** Running sums, one entry more than there are lengths: [0, a, a + b, …]. */
export function seqstarts(lengths: readonly number[]): readonly number[] {
  const starts = [0];
  for (const length of lengths) starts.push(starts[starts.length - 1]! + length);
  return Object.freeze(starts);
}
