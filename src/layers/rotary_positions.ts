// SPDX-License-Identifier: Apache-2.0
/** The `rope` argument of attention layers, and where the rows of one call stand. */
import type { serialization } from '@tensorflow/tfjs-core';
import { checkOptions, isPlainObject } from '../ops/arguments.js';
import { checkPositions } from '../ops/rotary_embedding.js';
import { rotaryTables } from '../ops/rotary_tables.js';
import type { RotaryPositions, RotaryTables } from '../ops/rotary_tables.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { ROTARY_RULES, rotaryRules } from '../spec/rotary.js';
import type { RotaryRule, RotaryRules } from '../spec/rotary.js';

/** true for the usual rotation, or how to rotate; see `rotaryEmbedding`. */
export type RopeArg = boolean | RotaryRule | null | undefined;

/** The rules of a `rope` argument; null for none. */
export function ropeRules(op: string, rope: RopeArg): RotaryRules | null {
  if (rope === null || rope === undefined || rope === false) return null;
  const rule = rope === true ? {} : rope;
  if (!isPlainObject(rule)) {
    throw typeError({
      op,
      argument: 'rope',
      expected: 'true, or an object',
      got: describe(rope),
      mend: 'Pass for example {base: 1e6}; leave it out for no rotation.',
    });
  }
  checkOptions(op, rule, ROTARY_RULES);
  return rotaryRules(op, 'rope.', rule);
}

/** The `rope` argument that gives these rules again. */
export function ropeConfig(rules: RotaryRules | null): serialization.ConfigDict | null {
  return rules && { ...rules, scaling: rules.scaling && { ...rules.scaling } };
}

/** Positions of queries and of keys. */
export interface OperandPositions {
  query: RotaryPositions;
  key: RotaryPositions;
}

/** What turns queries and keys to their positions; tensors of the caller. */
export interface OperandTables {
  query: RotaryTables;
  key: RotaryTables;
}

/** The numbers of rows that positions are for. */
export interface Lengths {
  batch: number;
  queries: number;
  keys: number;
}

/**
 * The positions of a call that was given `positions`: a list for queries and keys, or {query, key}.
 * Without them keys count from `start`, and the last query lines up with the last key, as in the masks.
 */
export function operandPositions(
  op: string,
  positions: unknown,
  { batch, queries, keys }: Lengths,
  start = 0,
): OperandPositions {
  if (positions === undefined || positions === null) {
    return { query: { offset: start + keys - queries }, key: { offset: start } };
  }
  const check = (argument: string, list: unknown, rows: number) =>
    checkPositions(op, argument, list, batch, rows);
  if (isPlainObject(positions)) {
    const { query, key } = positions as { query?: unknown; key?: unknown };
    return {
      query: check('positions.query', query, queries),
      key: check('positions.key', key, keys),
    };
  }
  if (queries !== keys) {
    throw rangeError({
      op,
      argument: 'positions',
      expected: `{query, key}, for ${queries} queries and ${keys} keys`,
      got: describe(positions),
      mend: 'One list serves both only in self-attention.',
    });
  }
  const list = check('positions', positions, queries);
  return { query: list, key: list };
}

/** The tables of a call for heads of `width` channels: one pair for both where they stand at the same positions. */
export function operandTables(
  rules: RotaryRules,
  width: number,
  positions: OperandPositions,
  { queries, keys }: Lengths,
): OperandTables {
  const query = rotaryTables(rules, width, positions.query, queries);
  const isOne =
    queries === keys && JSON.stringify(positions.query) === JSON.stringify(positions.key);
  return { query, key: isOne ? query : rotaryTables(rules, width, positions.key, keys) };
}
