// SPDX-License-Identifier: Apache-2.0
/** Scales of charts: from values to places, and the values that get a line and a number. */

export interface Scale {
  /** From 0 to 1. */
  at(value: number): number;
  ticks: number[];
}

/** From the first to the last whole power of two around the values, each power with a tick. */
export function powersOfTwo(values: readonly number[]): Scale {
  const low = Math.floor(Math.log2(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log2(Math.max(...values))));
  return {
    at: (value) => (Math.log2(value) - low) / (high - low),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i)),
  };
}

/** The same by ten. */
export function powersOfTen(values: readonly number[]): Scale {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    at: (value) => (Math.log10(value) - low) / (high - low),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
  };
}

/** A step of 1, 2 or 5 times a power of ten that cuts a span into about `count` parts. */
function niceStep(span: number, count: number): number {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough) ?? 10;
  return factor * power;
}

/** From zero to a round number above the values, which are counts: no tick is a fraction. */
export function countsFromZero(values: readonly number[]): Scale {
  return fromZero([...values, 10]);
}

/** From zero to a round number above the values. */
export function fromZero(values: readonly number[], count = 5): Scale {
  const most = Math.max(...values, 1e-9);
  const step = niceStep(most, count);
  const end = Math.ceil(most / step - 1e-9) * step;
  return {
    at: (value) => value / end,
    ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step),
  };
}
