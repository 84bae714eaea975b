// SPDX-License-Identifier: Apache-2.0
/**
 * Has a runner measure all cases, and starts another one where one dies: the provider that it died of gets a
 * failure, and the case is done once more without it. A runner that says nothing for too long is ended.
 */
import { titleOf } from './cases.js';
import type { Case, ProviderName } from './cases.js';
import { emptyResult } from './measure.js';
import type { Result } from './measure.js';
import type { Event, Request } from './protocol.js';
import type { StartRunner } from './runners/runner.js';

export interface Outcome {
  /** What has been run, by its command lines. */
  commands: string[];
  heading: Record<string, string>;
  software: boolean;
  results: Result[];
}

export interface CoordinatorOptions {
  command: string;
  start: StartRunner;
  settings: Pick<Request, 'settings' | 'limits' | 'subgroups' | 'matrices' | 'known' | 'peers'>;
  /** Silence that ends a runner. */
  silenceSeconds: number;
  onDevice(heading: Record<string, string>): void;
  /** With all that there is so far, these results included. */
  onCase(c: Case, results: readonly Result[], outcome: Outcome): void;
  /** Asked after every case: whether the rest is left for another time. */
  isOver: () => boolean;
}

interface Death {
  index: number;
  provider: ProviderName;
  reason: string;
}

/** One runner's life. @returns what it died of, or null if it has done all */
async function live(
  request: Request,
  { start, silenceSeconds, isOver }: CoordinatorOptions,
  onEvent: (event: Event) => void,
): Promise<Death | null> {
  let last: { index: number; provider: ProviderName } | null = null;
  let verdict = '';
  let isDone = false;
  let timer: NodeJS.Timeout | undefined;
  const run = await start(request, (event) => {
    // What it still says while it is being stopped.
    if (isDone) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      verdict = `no answer in ${silenceSeconds} s`;
      run.stop();
    }, 1000 * silenceSeconds);
    if (event.type === 'start') last = event;
    if (event.type === 'lost') verdict = `the device was lost (${event.message})`;
    if (event.type === 'fatal') verdict = event.message;
    onEvent(event);
    isDone ||= event.type === 'done' || (event.type === 'case' && isOver());
    if (isDone || event.type === 'fatal' || event.type === 'lost') run.stop();
  });
  const end = await run.ended.finally(() => clearTimeout(timer));
  if (isDone) return null;
  const blamed = last as { index: number; provider: ProviderName } | null;
  if (!blamed) throw new Error(verdict || `the runner ended before its first case (${end})`);
  return { ...blamed, reason: verdict || `it took the runner down (${end})` };
}

/** @throws Error if no device opens, with what to do about it */
export async function tryDevice(options: CoordinatorOptions): Promise<void> {
  await live({ ...options.settings, cases: [] }, options, () => undefined);
}

export async function coordinate(
  cases: readonly Case[],
  options: CoordinatorOptions,
): Promise<Outcome> {
  const outcome: Outcome = {
    commands: [options.command],
    heading: {},
    software: true,
    results: [],
  };
  const pending = new Map(cases.map((c, index) => [index, c]));
  const failures = new Map<number, Result[]>();
  const onEvent = (event: Event) => {
    if (event.type === 'device') {
      if (Object.keys(outcome.heading).length === 0) options.onDevice(event.heading);
      outcome.heading = event.heading;
      outcome.software = event.software;
    } else if (event.type === 'case') {
      const c = cases[event.index]!;
      const all = [...event.results, ...(failures.get(event.index) ?? [])];
      const results = all.map((result) => ({ ...result, case: c }));
      outcome.results.push(...results);
      options.onCase(c, results, outcome);
      pending.delete(event.index);
    }
  };
  while (pending.size > 0 && !options.isOver()) {
    const entries = [...pending].map(([index, c]) => ({ index, case: c }));
    const death = await live({ ...options.settings, cases: entries }, options, onEvent);
    if (!death) continue;
    const { index, provider, reason } = death;
    const c = pending.get(index);
    if (c) {
      console.log(`${titleOf(c)}: ${provider}: ${reason}`);
      failures.set(index, [...(failures.get(index) ?? []), emptyResult(c, provider, reason)]);
      const providers = c.providers.filter((name) => name !== provider);
      pending.set(index, { ...c, providers });
    } else {
      // It died between two cases: the next is given up, so that this ends.
      const next = entries.find((entry) => pending.has(entry.index))!;
      onEvent({
        type: 'case',
        index: next.index,
        results: next.case.providers.map((name) => emptyResult(next.case, name, reason)),
      });
    }
  }
  return outcome;
}
