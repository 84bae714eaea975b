// SPDX-License-Identifier: Apache-2.0
/** Results of several runs in one file, so that a long grid can be done in parts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { titleOf } from './cases.js';
import type { Case } from './cases.js';
import type { Outcome } from './coordinator.js';
import type { Result } from './measure.js';

const keyOf = ({ case: c, provider }: Pick<Result, 'case' | 'provider'>) =>
  `${titleOf(c)} ${provider}`;

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
    // A run without cases has not seen the device.
    software: (fresh.results.length > 0 ? fresh : old).software,
    results: shared,
  };
}

/** Figures that were not measured are kept as null: JSON has no NaN. */
const parse = (text: string) =>
  JSON.parse(text, (_, value: unknown) => (value === null ? NaN : value)) as Outcome;

const read = (file: string): Outcome | null =>
  existsSync(file) ? parse(readFileSync(file, 'utf8')) : null;

/** What the file has; nothing if there is none. */
export const gathered = (file: string): Result[] => read(file)?.results ?? [];

/** The cases of which some provider has no result in the file, not even a failure. */
export function notGathered<C extends Case>(file: string, cases: readonly C[]): C[] {
  const have = new Set(gathered(file).map(keyOf));
  return cases.filter((c) =>
    c.providers.some((provider) => !have.has(keyOf({ case: c, provider }))),
  );
}

/** Adds the outcome to those of the file, and returns all. */
export function gather(file: string, fresh: Outcome, grid: readonly Case[]): Outcome {
  const all = merge(read(file) ?? fresh, fresh, grid);
  writeFileSync(file, JSON.stringify(all));
  return all;
}
