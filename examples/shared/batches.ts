// SPDX-License-Identifier: Apache-2.0
/** Batches of sequences that are cut from one long run of tokens. */

/** Sequences of tokens, row after row, and at each place the token that follows. */
export interface Batch {
  inputs: Int32Array;
  targets: Int32Array;
}

/** The sequences of `context` tokens that begin at `starts`. */
export function batchAt(tokens: Int32Array, starts: readonly number[], context: number): Batch {
  const inputs = new Int32Array(starts.length * context);
  const targets = new Int32Array(starts.length * context);
  starts.forEach((start, row) => {
    inputs.set(tokens.subarray(start, start + context), row * context);
    targets.set(tokens.subarray(start + 1, start + 1 + context), row * context);
  });
  return { inputs, targets };
}

/** `count` batches of `rows` sequences, spread evenly over the tokens. */
export function evenBatches(
  tokens: Int32Array,
  rows: number,
  context: number,
  count: number,
): Batch[] {
  const stride = (tokens.length - context - 1) / Math.max(1, rows * count - 1);
  return Array.from({ length: count }, (_, batch) => {
    const starts = Array.from({ length: rows }, (_, row) =>
      Math.floor((batch * rows + row) * stride),
    );
    return batchAt(tokens, starts, context);
  });
}
