// SPDX-License-Identifier: Apache-2.0

const WARM_UP = 0.05;
const LAST_SHARE = 0.1;

/** Steps of the warm-up, where nobody asks for another number. */
export function usualWarmUp(steps: number): number {
  return Math.max(1, Math.round(steps * WARM_UP));
}

/** The learning rate of a step: it rises over the first steps, then falls along a cosine to a tenth. */
export function learningRateAt(
  step: number,
  steps: number,
  peak: number,
  warmUp = usualWarmUp(steps),
): number {
  if (step < warmUp) return (peak * (step + 1)) / warmUp;
  const progress = (step - warmUp) / Math.max(1, steps - warmUp);
  return peak * (LAST_SHARE + ((1 - LAST_SHARE) * (1 + Math.cos(Math.PI * progress))) / 2);
}
