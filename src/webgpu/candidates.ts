// SPDX-License-Identifier: Apache-2.0
/**
 * The choices that `autotune` may decide: pure functions of device facts and shape, as those of tuning.ts,
 * and of the table of what was measured. A choice's first candidate is what is taken without measuring.
 */
import type { AttentionDims } from '../spec/attention.js';
import type { FloatDType } from '../spec/dtype.js';
import type { MaskPlan } from '../spec/mask.js';
import { matrixTile } from './matrix_tile.js';
import type { MatrixTile } from './matrix_tile.js';
import { normTile, otherNormTiles } from './norm_tile.js';
import type { NormTile } from './norm_tile.js';
import { splitCandidates, splitShape, splitTile } from './split_tile.js';
import type { SplitTile } from './split_tile.js';
import { attentionTile, fittingTiles } from './tuning.js';
import type { AttentionPass, AttentionTile, DeviceFacts } from './tuning.js';

/** Only `autotune` and what follows it need names and others, so they are made when asked for. */
export interface Choice<T> {
  /** Equal names mean equal candidates, and lengths so near that one measurement serves them. */
  name: () => string;
  /** What is taken without measuring. */
  preferred: T;
  others: () => readonly T[];
}

/** What there is to choose from: the preferred one first, none twice. */
export function candidatesOf<T>({ preferred, others }: Choice<T>): T[] {
  const byText = new Map<string, T>();
  for (const candidate of [preferred, ...others()]) {
    const text = JSON.stringify(candidate);
    if (!byText.has(text)) byText.set(text, candidate);
  }
  return [...byText.values()];
}

/** The candidate that was measured to be best, if its JSON is that of one still; else the preferred one. */
export function pick<T>(choice: Choice<T>, measured: ReadonlyMap<string, string>): T {
  const best = measured.get(choice.name());
  if (best === undefined) return choice.preferred;
  const found = candidatesOf(choice).find((candidate) => JSON.stringify(candidate) === best);
  return found ?? choice.preferred;
}

/** Lengths count up to the next power of two. */
function upTo(length: number): string {
  return `<=${2 ** Math.ceil(Math.log2(Math.max(1, length)))}`;
}

/** Tile of a pass of attention; `kind` is what else its programs differ in. */
export function attentionChoice(
  facts: DeviceFacts,
  pass: AttentionPass,
  dtype: FloatDType,
  kind: string,
  plan: MaskPlan,
  dims: AttentionDims,
): Choice<AttentionTile | SplitTile | MatrixTile> {
  const { keyDim, valueDim } = dims;
  const shape = splitShape(plan, dims);
  const { queries, rows, keys, items } = shape;
  const split = pass === 'forward' ? splitTile(facts, shape) : null;
  const matrix = matrixTile(facts, pass, dtype, keyDim, valueDim);
  const whole = attentionTile(facts, pass, keyDim, valueDim);
  return {
    name: () => {
      const sizes = [queries, keys, items].map(upTo).join(' x ');
      return `attention ${pass}, K ${keyDim}, V ${valueDim}, ${dtype}, ${kind}, group ${rows / queries}, queries x keys x items ${sizes}`;
    },
    preferred: split ?? matrix ?? whole,
    others: () => [
      whole,
      ...(matrix ? [matrix] : []),
      ...(pass === 'forward' ? splitCandidates(facts, shape) : []),
      ...fittingTiles(facts, pass, keyDim, valueDim),
    ],
  };
}

/** How the rows of a norm are shared out. */
export function normChoice(facts: DeviceFacts, rows: number, columns: number): Choice<NormTile> {
  return {
    name: () => `norm, rows ${upTo(rows)}, C ${columns}`,
    preferred: normTile(facts, columns),
    others: () => otherNormTiles(facts, columns),
  };
}
