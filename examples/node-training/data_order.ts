// SPDX-License-Identifier: Apache-2.0
/**
 * Which sequences come when. An epoch takes the text as windows of `context` tokens side by side, in a shuffled order
 * and from a place that is drawn, so that windows differ from epoch to epoch. All follows from two numbers, which a
 * checkpoint keeps.
 */
import { Random } from '../shared/random.js';

export interface OrderState {
  /** The state of the random numbers before the epoch was drawn: the seed, in the first one. */
  epoch: number;
  /** Sequences of the epoch that were taken. */
  taken: number;
}

export class DataOrder {
  private readonly random: Random;
  private epoch: number;
  private taken: number;
  private starts: Int32Array;

  /**
   * @param length tokens of the text; more than `context` of them.
   * @param state where to go on.
   */
  constructor(
    private readonly length: number,
    private readonly context: number,
    state: OrderState,
  ) {
    this.epoch = state.epoch;
    this.taken = state.taken;
    this.random = new Random(state.epoch);
    this.starts = this.draw();
  }

  /** The places of the next `rows` sequences; the last ones of an epoch and the first ones of the next may be together. */
  next(rows: number): number[] {
    return Array.from({ length: rows }, () => {
      if (this.taken === this.starts.length) {
        this.epoch = this.random.state;
        this.taken = 0;
        this.starts = this.draw();
      }
      return this.starts[this.taken++]!;
    });
  }

  get state(): OrderState {
    return { epoch: this.epoch, taken: this.taken };
  }

  private draw(): Int32Array {
    const { length, context, random } = this;
    // Behind each sequence one more token is needed, the last target.
    const offset = random.below(Math.min(context, length - context));
    const starts = Int32Array.from(
      { length: Math.floor((length - 1 - offset) / context) },
      (_, index) => offset + index * context,
    );
    for (let last = starts.length - 1; last > 0; last--) {
      const other = random.below(last + 1);
      [starts[last], starts[other]] = [starts[other]!, starts[last]!];
    }
    return starts;
  }
}
