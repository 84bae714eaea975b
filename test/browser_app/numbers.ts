// SPDX-License-Identifier: Apache-2.0
/** Reads numbers back from what the page shows. */

const UNITS: Readonly<Record<string, number>> = {
  ...{ bytes: 1, kB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ ms: 1, s: 1e3 },
};

/** "1.2 MB" in bytes, "31 ms" in milliseconds, "1,024" and "1.5e-7" as they are; NaN for a dash. */
export function numberIn(words: string): number {
  const [, number, unit] = /^([\d.,]+(?:e[+-]\d+)?)\s*(\w*)$/.exec(words.trim()) ?? [];
  if (number === undefined) return NaN;
  return Number(number.replaceAll(',', '')) * (unit ? UNITS[unit]! : 1);
}
