// SPDX-License-Identifier: Apache-2.0
/** What each device has chosen among tiles and the like: what `autotune` measured, else what is preferred. */
import { pick } from './candidates.js';
import type { Choice } from './candidates.js';

/** By the name of a choice, the candidate as JSON. */
const tables = new WeakMap<GPUDevice, Map<string, string>>();

/** While set, choices are noted. */
let noted: Map<string, Choice<unknown>> | null = null;

export function tableOf(device: GPUDevice): Map<string, string> {
  let table = tables.get(device);
  if (!table) {
    table = new Map();
    tables.set(device, table);
  }
  return table;
}

export function choose<T>(device: GPUDevice, choice: Choice<T>): T {
  noted?.set(choice.name(), choice);
  const table = tables.get(device);
  return table ? pick(choice, table) : choice.preferred;
}

/** The choices that `run`, which has to be synchronous, makes. */
export function choicesOf(run: () => void): Map<string, Choice<unknown>> {
  const choices = new Map<string, Choice<unknown>>();
  noted = choices;
  try {
    run();
  } finally {
    noted = null;
  }
  return choices;
}

/** What was measured for a device, by the names of the choices. */
export function tunedChoices(device: GPUDevice): Record<string, unknown> {
  const table = tables.get(device) ?? new Map<string, string>();
  return Object.fromEntries([...table].map(([name, chosen]) => [name, JSON.parse(chosen)]));
}
