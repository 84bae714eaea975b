// SPDX-License-Identifier: Apache-2.0
/** The cos and sin that rotaryEmbedding multiplies with: made on the CPU in float64, rounded once. */
import { tensor } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { rotaryFrequencies } from '../spec/rotary.js';
import type { RotaryRules } from '../spec/rotary.js';

/** Where the rows of a tensor [B, M, …] stand: from `offset` on, or each as listed, for each batch item or all. */
export type RotaryPositions =
  { readonly offset: number } | readonly number[] | readonly (readonly number[])[];

/**
 * Both of shape [1 or B, M, 1, dim]. Channel c of the result is
 * `x[c] * cos[c] + x[partner of c] * sin[c]`; the minus of a pair's first channel is in `sin`.
 */
export interface RotaryTables {
  cos: Tensor;
  sin: Tensor;
}

interface Values {
  cos: Float32Array;
  sin: Float32Array;
}

/** The tables for `rows` rows of `width` channels, of which `rules` may turn fewer; tensors of the caller. */
export function rotaryTables(
  rules: RotaryRules,
  width: number,
  positions: RotaryPositions,
  rows: number,
): RotaryTables {
  const dim = rules.dim ?? width;
  const { cos, sin } = 'offset' in positions ? run(rules, dim, positions.offset, rows) : listed();
  // Without rows there is nothing to turn, and nothing to divide by.
  const shape = [cos.length / (rows * dim || 1), rows, 1, dim];
  return { cos: tensor(cos, shape), sin: tensor(sin, shape) };

  function listed(): Values {
    const list = (positions as readonly (readonly number[])[]).flat();
    return valuesAt(rules, dim, list.length, (row) => list[row]!);
  }
}

/** Runs that were asked for last: the steps of a training loop, and all layers of a model, share one. */
const recent = new Map<string, Values>();
const KEPT_RUNS = 4;
/** A run of fewer values is computed anew faster than it is found, and would crowd the others out. */
const LEAST_KEPT = 4096;

function run(rules: RotaryRules, dim: number, offset: number, rows: number): Values {
  const make = () => valuesAt(rules, dim, rows, (row) => offset + row);
  if (rows * dim < LEAST_KEPT) return make();
  const { base, interleaved, scaling } = rules;
  const key = JSON.stringify([base, dim, interleaved, scaling, offset, rows]);
  const values = recent.get(key) ?? make();
  recent.delete(key);
  recent.set(key, values);
  if (recent.size > KEPT_RUNS) recent.delete(recent.keys().next().value!);
  return values;
}

function valuesAt(
  rules: RotaryRules,
  dim: number,
  rows: number,
  positionOf: (row: number) => number,
): Values {
  const { frequencies, factor } = rotaryFrequencies(rules, dim);
  const pairs = frequencies.length;
  const [cos, sin] = [new Float32Array(rows * dim), new Float32Array(rows * dim)];
  for (let row = 0; row < rows; row++) {
    const position = positionOf(row);
    for (let i = 0; i < pairs; i++) {
      const first = row * dim + (rules.interleaved ? 2 * i : i);
      const second = first + (rules.interleaved ? 1 : pairs);
      const angle = position * frequencies[i]!;
      cos[first] = cos[second] = factor * Math.cos(angle);
      sin[second] = factor * Math.sin(angle);
      sin[first] = -sin[second]!;
    }
  }
  return { cos, sin };
}
