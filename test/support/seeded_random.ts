// SPDX-License-Identifier: Apache-2.0
/** A stream of random numbers from a seed, for the fuzz tests: the same numbers in every run. */
import { mix } from '../../src/spec/dropout.js';

export class SeededRandom {
  private count = 0;

  constructor(private readonly seed: number) {}

  /** In [0, 1). */
  next(): number {
    return mix(mix(this.seed >>> 0) ^ Math.imul(++this.count, 0x9e3779b9)) / 4294967296;
  }

  /** A whole number, from low to high inclusive. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)]!;
  }

  /** true with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }
}
