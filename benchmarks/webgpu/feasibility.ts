// SPDX-License-Identifier: Apache-2.0
/**
 * What a provider had better not try: what would starve the machine of memory, hang its screen, or keep the
 * rest of the grid waiting. Guesses of time come from the provider's own smaller cases of the same kind.
 */
import { bytesOf, flopOf, isModel } from './cases.js';
import type { Case, ProviderName } from './cases.js';

export interface Limits {
  /** The longest call that is tried, in seconds. */
  callSeconds: number;
  /** What all providers of a case may take, each an equal part, in seconds. */
  caseSeconds: number;
  /** The most bytes that a call may be expected to need. */
  memoryBytes: number;
}

/** Arrays of all scores that are alive together in a composition; a few more with gradients. */
const SCORE_ARRAYS = { forward: 4, 'forward + backward': 10, backward: 10 } as const;
/** A training step of a model keeps these of every layer. */
const KEPT_SCORE_ARRAYS = 4;

const GIBIBYTE = 2 ** 30;

/** Bytes of one array of all scores; 0 for providers that make none. */
export function scoreBytes(c: Case, provider: ProviderName): number {
  if (provider !== 'tfjs' && provider !== 'jax-js') return 0;
  if (isModel(c)) return 4 * c.heads * c.tokens ** 2;
  if (!('queries' in c)) return 0;
  return 4 * c.batch * c.heads * c.queries * c.keys;
}

function expectedBytes(c: Case, provider: ProviderName): number {
  const kept = isModel(c) && c.mode !== 'forward' ? KEPT_SCORE_ARRAYS * (c.layers - 1) : 0;
  return scoreBytes(c, provider) * (SCORE_ARRAYS[c.mode] + kept);
}

const kindOf = (c: Case, provider: ProviderName) => `${provider} ${c.op} ${c.mode} ${c.dtype}`;

/** Calls that tell nothing new, before a case's rounds: its check, and the count of what it holds. */
const CALLS_BEFORE_ROUNDS = 2;

/** Compositions compute what a mask hides as well; all else is counted as in the report. */
function workOf(c: Case, provider: ProviderName): number {
  if (isModel(c)) return flopOf(c, provider === 'tfjs');
  return scoreBytes(c, provider) * ('dim' in c ? c.dim : 1) || flopOf(c) || bytesOf(c);
}

const gibibytes = (bytes: number) => `${(bytes / GIBIBYTE).toFixed(1)} GiB`;

export class Feasibility {
  /** Work of a second, by kind: the best so far. */
  private readonly rates = new Map<string, number>();

  constructor(
    private readonly limits: Limits,
    private readonly largestBuffer: number,
  ) {}

  /** Why the provider had better not; '' if nothing speaks against it. */
  objection(c: Case, provider: ProviderName): string {
    return this.tooLarge(c, provider) || this.tooSlow(c, provider);
  }

  /** Whether the provider could, but would take too long. */
  isOnlySlow(c: Case, provider: ProviderName): boolean {
    return this.tooLarge(c, provider) === '' && this.tooSlow(c, provider) !== '';
  }

  private tooLarge(c: Case, provider: ProviderName): string {
    const scores = scoreBytes(c, provider);
    if (scores > this.largestBuffer) {
      return `skipped: its scores need a buffer of ${gibibytes(scores)}, the device has ${gibibytes(this.largestBuffer)} at most`;
    }
    const bytes = expectedBytes(c, provider);
    if (bytes > this.limits.memoryBytes) {
      return `skipped: it would need about ${gibibytes(bytes)} (--memory sets the limit)`;
    }
    return '';
  }

  private tooSlow(c: Case, provider: ProviderName): string {
    const rate = this.rates.get(kindOf(c, provider));
    const seconds = rate === undefined ? 0 : workOf(c, provider) / rate;
    if (seconds > this.limits.callSeconds) {
      return `skipped: a call would take about ${seconds.toFixed(0)} s (--limit sets the limit)`;
    }
    const share = this.limits.caseSeconds / c.providers.length;
    if (CALLS_BEFORE_ROUNDS * seconds > share) {
      return `skipped: a call would take about ${seconds.toFixed(1)} s, too much for its part of the time of a case (--budget sets that)`;
    }
    return '';
  }

  /** Notes what a call took. */
  learn(c: Case, provider: ProviderName, seconds: number): void {
    const kind = kindOf(c, provider);
    const rate = workOf(c, provider) / seconds;
    if (Number.isFinite(rate)) this.rates.set(kind, Math.max(rate, this.rates.get(kind) ?? 0));
  }
}
