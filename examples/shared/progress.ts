// SPDX-License-Identifier: Apache-2.0
/** A bar that redraws itself on a terminal; elsewhere a line now and then, which reads well in a log. */

const WIDTH = 24;
/** Of the lines of a log. */
const LINES = 10;
const REDRAW_MS = 100;

/** "1,234" */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export class Progress {
  private readonly isTerminal = process.stdout.isTTY;
  private readonly hasColor = this.isTerminal && !process.env['NO_COLOR'];
  private drawn = 0;
  private last = '';

  constructor(private readonly total: number) {}

  /** Shows that `done` of the total are done, and `text` beside it. */
  update(done: number, text: string): void {
    const count = `${grouped(done).padStart(grouped(this.total).length)}/${grouped(this.total)}`;
    if (this.isTerminal) {
      this.last = `${this.bar(done / this.total)} ${count}  ${text}`;
      if (performance.now() - this.drawn >= REDRAW_MS) this.draw();
    } else if (done === 1 || this.isMark(done)) {
      console.log(`  ${count}  ${text}`);
    }
  }

  /** Prints a line above the bar. */
  print(line: string): void {
    if (!this.isTerminal) {
      console.log(`  ${line}`);
      return;
    }
    process.stdout.write(`\r\x1b[2K${line}\n`);
    this.draw();
  }

  /** Leaves the bar as it is; what is printed next begins on a line of its own. */
  end(): void {
    if (!this.isTerminal) return;
    this.draw();
    process.stdout.write('\n');
  }

  private isMark(done: number): boolean {
    const mark = (count: number) => Math.floor((count * LINES) / this.total);
    return mark(done) > mark(done - 1);
  }

  private bar(share: number): string {
    const filled = Math.min(WIDTH, Math.round(share * WIDTH));
    const [on, off] = ['█'.repeat(filled), '░'.repeat(WIDTH - filled)];
    return this.hasColor ? `\x1b[36m${on}\x1b[2m${off}\x1b[0m` : on + off;
  }

  private draw(): void {
    this.drawn = performance.now();
    process.stdout.write(`\r\x1b[2K${this.last}`);
  }
}
