// SPDX-License-Identifier: Apache-2.0
/** Losses by step, thin enough to be drawn, stored and read as a table. */

type Losses = [step: number, loss: number][];

export interface LossHistory {
  training: Losses;
  heldOut: Losses;
}

const MOST_POINTS = 400;

/** Shares of the last loss and of those before it: single batches jump about. */
const SMOOTHING = 0.85;

export function emptyHistory(): LossHistory {
  return { training: [], heldOut: [] };
}

/** Every second point goes when there are too many; the last one always stays. */
function thinned(losses: Losses): Losses {
  if (losses.length <= MOST_POINTS) return losses;
  return losses.filter((_, index) => (losses.length - 1 - index) % 2 === 0);
}

export function addTraining(history: LossHistory, step: number, loss: number): void {
  history.training.push([step, loss]);
  history.training = thinned(history.training);
}

export function addHeldOut(history: LossHistory, step: number, loss: number): void {
  history.heldOut.push([step, loss]);
  history.heldOut = thinned(history.heldOut);
}

/** The training losses as a line that the eye can follow. */
export function smoothed(losses: Losses): Losses {
  let mean: number | undefined;
  return losses.map(([step, loss]) => {
    mean = mean === undefined ? loss : SMOOTHING * mean + (1 - SMOOTHING) * loss;
    return [step, mean];
  });
}

/** About `count` of the points, the first and the last among them. */
export function someOf(losses: Losses, count: number): Losses {
  const stride = Math.max(1, Math.ceil((losses.length - 1) / (count - 1)));
  return losses.filter((_, index) => (losses.length - 1 - index) % stride === 0 || index === 0);
}
