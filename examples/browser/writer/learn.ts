// SPDX-License-Identifier: Apache-2.0
/** The loop of learning: steps, now and then a look at the held-out text, now and then a passage. */
import { breathe } from '../page/breathe.js';
import type { Writer } from './writer.js';

const EVALUATE_EVERY = 25;
/** Least time between two passages, and how many times as long as a passage takes. */
const PASSAGE_EVERY_MS = 5000;
const PASSAGE_SHARE = 6;

export interface LearnCalls {
  isStopped: () => boolean;
  onStep: () => void;
  /** Writes a passage; it ends early when learning is stopped. */
  onPassage: () => Promise<void>;
}

/**
 * Learns until the last step or until it is stopped.
 *
 * @throws Error if the loss is no longer a number
 */
export async function learn(
  writer: Writer,
  { isStopped, onStep, onPassage }: LearnCalls,
): Promise<void> {
  await writer.evaluate();
  let pause = PASSAGE_EVERY_MS;
  let last: number | undefined;
  while (!writer.isDone && !isStopped()) {
    const loss = await writer.step();
    if (!Number.isFinite(loss)) {
      throw new Error(
        `The loss of step ${writer.steps} is no number any more. Load what was saved, or begin anew with another model.`,
      );
    }
    if (writer.steps % EVALUATE_EVERY === 0) await writer.evaluate();
    onStep();
    await breathe();
    // From the end of the first step on, which compiles.
    last ??= performance.now();
    if (performance.now() - last > pause && !isStopped()) {
      const start = performance.now();
      await onPassage();
      last = performance.now();
      pause = Math.max(PASSAGE_EVERY_MS, PASSAGE_SHARE * (last - start));
    }
  }
  await writer.evaluate();
}
