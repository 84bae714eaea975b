// SPDX-License-Identifier: Apache-2.0
/** Quantiles of times and ratios. */

/** Linear between the two nearest values; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const low = Math.floor(position);
  const next = sorted[Math.min(low + 1, sorted.length - 1)]!;
  return sorted[low]! + (position - low) * (next - sorted[low]!);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
