// SPDX-License-Identifier: Apache-2.0
/** Results of several runs in one file, so that a long grid can be done in parts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { titleOf } from './cases.js';
import type { Case } from './cases.js';
import type { Outcome } from './coordinator.js';
import type { Result } from './measure.js';

const keyOf = ({ case: c, provider }: Result) => `${titleOf(c)} ${provider}`;

/** Newer results take the places of older ones; cases are in the order of the grid. */
export function merge(old: Outcome, fresh: Outcome, grid: readonly Case[]): Outcome {
  const results = new Map<string, Result>();
  for (const result of [...old.results, ...fresh.results]) results.set(keyOf(result), result);
  // Marks compare by the case, so that all results of one need the same.
  const cases = new Map<string, Case>(grid.map((c) => [titleOf(c), c]));
  for (const { case: c } of results.values()) {
    if (!cases.has(titleOf(c))) cases.set(titleOf(c), c);
  }
  const order = [...cases.keys()];
  const shared = [...results.values()].map((r) => ({ ...r, case: cases.get(titleOf(r.case))! }));
  shared.sort((a, b) => order.indexOf(titleOf(a.case)) - order.indexOf(titleOf(b.case)));
  return {
    commands: [...new Set([...old.commands, ...fresh.commands])],
    heading: { ...old.heading, ...fresh.heading },
    software: fresh.software,
    results: shared,
  };
}

/** Figures that were not measured are kept as null: JSON has no NaN. */
const parse = (text: string) =>
  JSON.parse(text, (_, value: unknown) => (value === null ? NaN : value)) as Outcome;

/** Adds the outcome to those of the file, and returns all. */
export function gather(file: string, fresh: Outcome, grid: readonly Case[]): Outcome {
  const old = existsSync(file) ? parse(readFileSync(file, 'utf8')) : fresh;
  const all = merge(old, fresh, grid);
  writeFileSync(file, JSON.stringify(all));
  return all;
}
