// SPDX-License-Identifier: Apache-2.0

/** Steps whose mean time counts: enough to be steady, few enough to follow what the machine does. */
const RECENT = 20;

/** How fast it learns. The first step of all compiles, and is not counted. */
export class Pace {
  private readonly times: number[] = [];
  private isFirst = true;

  constructor(private readonly tokensOfAStep: number) {}

  add(milliseconds: number): void {
    if (!this.isFirst) this.times.push(milliseconds);
    this.isFirst = false;
    if (this.times.length > RECENT) this.times.shift();
  }

  /** Undefined before the second step. */
  get tokensPerSecond(): number | undefined {
    const total = this.times.reduce((sum, time) => sum + time, 0);
    return total === 0 ? undefined : (1000 * this.tokensOfAStep * this.times.length) / total;
  }
}
