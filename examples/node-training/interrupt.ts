// SPDX-License-Identifier: Apache-2.0

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Ctrl-C (and SIGTERM) asks training to stop after its step and to save; a second one ends the process at once. The
 * handlers run when training gives way to the event loop: `isAsked` does so.
 */
export class Interrupt {
  /** The exit code for what has asked; undefined while nothing has. */
  exitCode: number | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => this.onSignal(CODES[signal]));
    }
  }

  private onSignal(code: number): void {
    if (this.exitCode !== undefined) {
      process.stdout.write('\n');
      process.exit(code);
    }
    this.exitCode = code;
  }

  async isAsked(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.exitCode !== undefined;
  }
}
